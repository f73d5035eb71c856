"""The program of the books where its output goes nowhere or is not UTF-8, where names are not, and for scripts."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from db.catalog import CatalogStore
from db.order import OrderStore
from tests.support.books import Books
from tests.support.forger import forge
from tests.support.tiers import ROOT, clean_environment

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

FULL = b"toy store: no report (No space left on device); the exit code tells how the work ended\n"


@pytest.fixture
def run(catalog: CatalogStore, orders: OrderStore, tmp_path: Path) -> Run:
    """Runs `python -m admin` on a store, by a shell that redirects its streams."""

    def run(*arguments: str | bytes, to: str = "", **variables: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            ["sh", "-c", f'exec "$0" -m admin "$@" {to}', sys.executable, *arguments],
            cwd=ROOT,
            env=clean_environment() | {"DATA_DIR": str(tmp_path)} | variables,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("to", "errors"), [(">&-", b""), (">/dev/full", FULL), (">&- 2>&-", b""), (">/dev/full 2>&1", b"")]
)
def test_a_change_is_done_whoever_reads_of_it(run: Run, tmp_path: Path, to: str, errors: bytes) -> None:
    ended = run("restock", "Tux", "1", "--key", "k", to=to)
    assert (ended.returncode, ended.stderr) == (0, errors)
    assert Books.read(tmp_path).products["Tux"] == 81


def test_a_change_is_done_though_its_reader_has_gone(run: Run, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "admin", "restock", "Tux", "1"],
        cwd=ROOT,
        env=clean_environment() | {"DATA_DIR": str(tmp_path)},
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert ended.returncode == 0
    assert ended.stderr == FULL.replace(b"No space left on device", b"Broken pipe")
    assert Books.read(tmp_path).products["Tux"] == 81


def test_a_backup_is_made_whoever_reads_of_it(run: Run, tmp_path: Path) -> None:
    ended = run("backup", str(tmp_path / "b"), to=">/dev/full")
    assert (ended.returncode, ended.stderr) == (0, FULL)
    assert (tmp_path / "b" / "order.db").is_file()


@pytest.mark.parametrize("command", ["status", "audit", "audit --json", "reconcile"])
def test_a_report_that_is_lost_is_work_that_is_not_done(run: Run, command: str) -> None:
    ended = run(*command.split(), to=">/dev/full")
    assert (ended.returncode, ended.stderr) == (2, b"toy store: [Errno 28] No space left on device\n")
    assert run(*command.split(), to=">&-").returncode == 0, "who closes it wants only the exit code"


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}],
    ids=["ascii", "C"],
)
def test_a_name_is_sold_whatever_the_terminal_can_show(run: Run, tmp_path: Path, variables: dict[str, str]) -> None:
    ended = run("add", "B\u00e4r", "1", "1", "--key", "k", **variables)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"Done. B\\xe4r: 1 pieces at 1.00. Key: k\n", b"")
    assert "B\u00e4r" in Books.read(tmp_path).products
    told = json.loads(run("restock", "B\u00e4r", "1", "--json", **variables).stdout)
    assert told["product"]["name"] == "B\u00e4r"


@pytest.mark.parametrize("arguments", ["add NAME 1 1", "restock NAME 1", "backup NAME", "restore NAME --into NAME"])
def test_what_is_not_utf_8_on_the_command_line_is_wrong_usage(run: Run, tmp_path: Path, arguments: str) -> None:
    given = [b"b\xe4r" if word == "NAME" else word for word in arguments.split()]
    ended = run(*given)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith((b"'b\\udce4r' is not UTF-8", b"reach it by a link"))
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status",), 2),
        (("restock", "Nix", "1"), 1),
        (("add", "T\u200bux", "1", "1"), 2),
        (("backup", "/proc/nowhere"), 2),
        (("melt",), 2),
        (("restock", "Tux"), 2),
    ],
    ids=str,
)
def test_a_failing_command_tells_scripts_why(run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    place = {"DATA_DIR": str(tmp_path / "nowhere")} if arguments == ("status",) else {}
    ended = run(*arguments, "--json", **place)
    assert ended.returncode == code
    error = json.loads(ended.stdout)["error"]
    assert error and error.encode() in ended.stderr.replace(b"\\u200b", "\u200b".encode())


def test_a_setting_that_a_command_does_not_need_is_no_matter_to_it(run: Run, tmp_path: Path) -> None:
    wrong = {
        "CATALOG_BIND": ":",
        "ORDER": "a b",
        "FRONT_WORKERS": "many",
        "TIER_SECRET_FILE": str(tmp_path / "none"),
        "TRUST_NETWORK": "perhaps",
        "REFUSED_PER_S": "few",
        "p": "abc",
    }
    for arguments in (("status",), ("audit",), ("restock", "Tux", "1"), ("backup", str(tmp_path / "b")), ("--help",)):
        assert run(*arguments, **wrong).returncode == 0
    ended = run("restore", str(tmp_path / "b"), "--into", str(tmp_path / "r"), "--json", **wrong)
    assert ended.returncode == 2, "a restore has to know that no tier runs"
    assert json.loads(ended.stdout)["error"].startswith("CATALOG_BIND=")


def test_a_tilde_that_no_shell_has_expanded_is_the_home(run: Run, tmp_path: Path) -> None:
    assert run("backup", "~/b", HOME=str(tmp_path)).returncode == 0
    assert run("status", DATA_DIR="~/b", HOME=str(tmp_path)).returncode == 0
    assert run("restore", "~/b", "--into=~/r", HOME=str(tmp_path)).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["b", "r"]
    ended = run("status", DATA_DIR="~nobody-known/b")
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"toy store: DATA_DIR='~nobody-known/b' begins with the home of nobody known")


def test_no_terminal_is_too_narrow_for_a_discrepancy(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "catalog.db", "UPDATE products SET quantity = 5 WHERE name = 'Bird'")
    shown, end = pty.openpty()
    environment = clean_environment() | {"DATA_DIR": str(tmp_path), "TERM": "xterm", "COLUMNS": "30"}
    command = [sys.executable, "-m", "admin", "audit"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=end, stderr=subprocess.DEVNULL)
    os.close(end)
    assert process.wait(timeout=60) == 1
    text = os.read(shown, 100_000).decode()
    os.close(shown)
    assert "\u2026" not in text
    assert max(len(line) for line in text.splitlines() if line.startswith("│")) <= 30
