"""`python -m admin` as a process: lost output, encodings, narrow terminals, signals and settings."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from tests.support.books import Books
from tests.support.forgery import forge
from tests.support.tiers import ROOT, clean_environment, open_files
from tests.support.waiting import wait_until

RunInShell = Callable[..., "subprocess.CompletedProcess[bytes]"]

REPORT_LOST = b"toy store: no report (No space left on device); the exit code tells how the work ended\n"

# `python -m admin` with a busy timeout of ten minutes, so that only Ctrl-C ends the wait, on a busy machine too.
PROGRAM_WITH_LONG_TIMEOUT = """
import runpy
import db.sqlite.database

db.sqlite.database.BUSY_TIMEOUT_MS = 600_000
runpy.run_module("admin", run_name="__main__")
"""


@pytest.fixture
def run_in_shell(catalog: CatalogStore, orders: OrderStore, tmp_path: Path) -> RunInShell:
    """Runs `python -m admin` on a store in a shell, which redirects its streams by `to`."""

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
    ("to", "errors"), [(">&-", b""), (">/dev/full", REPORT_LOST), (">&- 2>&-", b""), (">/dev/full 2>&1", b"")]
)
def test_a_change_exits_with_0_even_when_its_report_is_lost(
    run_in_shell: RunInShell, tmp_path: Path, to: str, errors: bytes
) -> None:
    ended = run_in_shell("restock", "Tux", "1", "--key", "k", to=to)
    assert (ended.returncode, ended.stderr) == (0, errors)
    assert Books.read(tmp_path).products["Tux"] == 81


def test_a_change_exits_with_0_even_when_its_reader_has_gone(run_in_shell: RunInShell, tmp_path: Path) -> None:
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
    assert ended.stderr == REPORT_LOST.replace(b"No space left on device", b"Broken pipe")
    assert Books.read(tmp_path).products["Tux"] == 81


def test_a_backup_exits_with_0_even_when_its_report_is_lost(run_in_shell: RunInShell, tmp_path: Path) -> None:
    ended = run_in_shell("backup", str(tmp_path / "b"), to=">/dev/full")
    assert (ended.returncode, ended.stderr) == (0, REPORT_LOST)
    assert (tmp_path / "b" / "order.db").is_file()


@pytest.mark.parametrize("command", ["status", "audit", "audit --json", "reconcile"])
def test_a_command_that_only_reports_fails_when_its_report_is_lost(run_in_shell: RunInShell, command: str) -> None:
    ended = run_in_shell(*command.split(), to=">/dev/full")
    assert (ended.returncode, ended.stderr) == (2, b"toy store: [Errno 28] No space left on device\n")
    assert run_in_shell(*command.split(), to=">&-").returncode == 0, "a stream that is closed on purpose loses nothing"


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}],
    ids=["ascii", "C"],
)
def test_a_name_outside_of_the_terminals_encoding_is_escaped(
    run_in_shell: RunInShell, tmp_path: Path, variables: dict[str, str]
) -> None:
    ended = run_in_shell("add", "B\u00e4r", "1", "1", "--key", "k", **variables)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"Done. B\\xe4r: 1 pieces at 1.00. Key: k\n", b"")
    assert "B\u00e4r" in Books.read(tmp_path).products
    result = json.loads(run_in_shell("restock", "B\u00e4r", "1", "--json", **variables).stdout)
    assert result["product"]["name"] == "B\u00e4r"


@pytest.mark.parametrize("arguments", ["add NAME 1 1", "restock NAME 1", "backup NAME", "restore NAME --into NAME"])
def test_an_argument_that_is_not_utf_8_is_wrong_usage(run_in_shell: RunInShell, tmp_path: Path, arguments: str) -> None:
    given = [b"b\xe4r" if word == "NAME" else word for word in arguments.split()]
    ended = run_in_shell(*given)
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
def test_an_error_is_json_for_scripts(
    run_in_shell: RunInShell, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    settings = {"DATA_DIR": str(tmp_path / "nowhere")} if arguments == ("status",) else {}
    ended = run_in_shell(*arguments, "--json", **settings)
    assert ended.returncode == code
    error = json.loads(ended.stdout)["error"]
    assert error and error.encode() in ended.stderr.replace(b"\\u200b", "\u200b".encode())


def test_a_command_ignores_wrong_settings_that_it_does_not_use(run_in_shell: RunInShell, tmp_path: Path) -> None:
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
        assert run_in_shell(*arguments, **wrong).returncode == 0
    ended = run_in_shell("restore", str(tmp_path / "b"), "--into", str(tmp_path / "r"), "--json", **wrong)
    assert ended.returncode == 2, "a restore has to know that no tier runs"
    assert json.loads(ended.stdout)["error"].startswith("CATALOG_BIND=")


def test_a_tilde_that_no_shell_has_expanded_is_the_home_directory(run_in_shell: RunInShell, tmp_path: Path) -> None:
    assert run_in_shell("backup", "~/b", HOME=str(tmp_path)).returncode == 0
    assert run_in_shell("status", DATA_DIR="~/b", HOME=str(tmp_path)).returncode == 0
    assert run_in_shell("restore", "~/b", "--into=~/r", HOME=str(tmp_path)).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["b", "r"]
    ended = run_in_shell("status", DATA_DIR="~nobody-known/b")
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"toy store: DATA_DIR='~nobody-known/b' begins with the home of nobody known")


def test_a_narrow_terminal_wraps_a_discrepancy(run_in_shell: RunInShell, tmp_path: Path) -> None:
    forge(tmp_path / "catalog.db", "UPDATE products SET quantity = 5 WHERE name = 'Bird'")
    terminal, end = pty.openpty()
    environment = clean_environment() | {"DATA_DIR": str(tmp_path), "TERM": "xterm", "COLUMNS": "30"}
    command = [sys.executable, "-m", "admin", "audit"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=end, stderr=subprocess.DEVNULL)
    os.close(end)
    assert process.wait(timeout=60) == 1
    text = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert "\u2026" not in text
    assert max(len(line) for line in text.splitlines() if line.startswith("│")) <= 30


@pytest.mark.usefixtures("store")
def test_a_terminal_shows_the_progress() -> None:
    terminal, end = pty.openpty()
    subprocess.run([sys.executable, "-m", "admin", "audit"], cwd=ROOT, stderr=end, check=True)
    os.close(end)
    shown = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "audit" in shown and "Traceback" not in shown


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_prints_no_traceback(monkeypatch: pytest.MonkeyPatch, unbuffered: str) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    process = subprocess.Popen(
        [sys.executable, "-m", "admin", "audit"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, b"")


@pytest.mark.parametrize("times", [1, 1_000])
def test_ctrl_c_ends_a_wait_for_the_write_lock_at_once_without_a_change(store: Path, times: int) -> None:
    """The last of many signals arrive while the program exits, which must print no traceback."""
    before = Books.read(store)
    other = apsw.Connection(str(store / "catalog.db"))
    other.execute("BEGIN IMMEDIATE")  # the command waits for this lock
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM_WITH_LONG_TIMEOUT, "restock", "Tux", "1"], cwd=ROOT, stderr=subprocess.PIPE
    ) as process:
        wait_until("the command waits", lambda: any(name.endswith("catalog.db") for name in open_files(process.pid)))
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60 if times == 1 else 0.05)
                break
        process.kill()  # without effect once Ctrl-C has ended it
        assert process.stderr is not None
        assert (process.wait(), process.stderr.read().strip()) == (130, b"")
    other.close()
    assert Books.read(store) == before
