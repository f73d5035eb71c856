"""The program of the books: what it prints, its exit codes, and that trouble is one line."""

import contextlib
import http.server
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from admin.program import COMMANDS, main
from conf.version import __version__
from db.backup import backup
from db.snapshots import CATALOG, LOG
from domain.checkout import Checkout
from domain.errors import OutOfStock
from domain.values import Buy
from tests.support.books import Books
from tests.support.forger import forge
from tests.support.tiers import ROOT, free_port, open_files
from tests.support.waiting import wait_until

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the program on a store with two orders and a refused buy: its exit code and what it prints."""
    for key, quantity in (("a", 1), ("b", 2)):
        checkout.place(Buy(key, "Tux", quantity))
    with pytest.raises(OutOfStock):
        checkout.place(Buy("c", "Tux", 1_000))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for tier in ("CATALOG", "ORDER"):
        monkeypatch.setenv(f"{tier}_BIND", f"127.0.0.1:{free_port()}")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return run


def test_the_versions_of_store_and_sqlite_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr() == (f"toystore {__version__}, SQLite {apsw.sqlite_lib_version()}\n", "")


def test_status_shows_how_the_store_stands(run: Run) -> None:
    code, out, _ = run("status")
    assert code == 0
    for text in (
        "4, 0 of them retired",
        "356 pieces",
        "1: 2 Tux, 20",
        f"schema {CATALOG.newest}",
        "catalog.db",
        "none",
    ):
        assert text in out
    code, out, _ = run("status", "--json")
    state = json.loads(out)
    assert (state["orders"], state["refused"], state["intents"], state["ledger_entries"]) == (2, 1, 0, 6)
    assert state["last_order"]["number"] == 1
    assert [file["schema"] for file in state["files"]] == [CATALOG.newest, LOG.newest]
    assert all(file["bytes"] > 0 and file["wal_bytes"] > 0 for file in state["files"])


def test_status_counts_what_is_for_sale(run: Run, tmp_path: Path) -> None:
    run("retire", "Whale")
    forge(tmp_path / "order.db", "INSERT INTO intents (key, product, quantity) VALUES ('k', 'Tux', 1)")
    state = json.loads(run("status", "--json")[1])
    assert (state["products"], state["retired"], state["stock"]) == (4, 1, 356 - 94)
    assert state["intents"] == 1 and 0 <= state["oldest_intent_s"] < 60
    assert "1, the oldest for " in run("status")[1]


def test_a_clean_audit_says_what_it_has_seen(run: Run) -> None:
    code, out, err = run("audit")
    assert (code, err) == (0, "")
    assert out.startswith("Clean: 2 orders, 1 refused buy, 6 ledger entries of 4 products; buys in doubt: none; ")
    code, out, _ = run("audit", "--json")
    assert code == 0
    assert json.loads(out)["clean"] is True


def test_discrepancies_are_a_table_and_exit_code_1(run: Run, tmp_path: Path) -> None:
    forge(
        tmp_path / "order.db",
        "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('[bold]mine', 'Tux', 1, 1)",
    )
    code, out, _ = run("audit")
    assert code == 1
    assert "│ I3      │ order 2, key [bold]mine │ ordered, but never sold │" in out
    assert "1 discrepancy: 3 orders" in out
    code, out, _ = run("audit", "--json")
    assert code == 1
    assert json.loads(out)["discrepancies"] == [
        {
            "promise": "I3",
            "where": "order 2, key [bold]mine",
            "what": "ordered, but never sold",
            "fingerprint": "3736e13de227",
            "repairable": False,
        }
    ]


def test_reconcile_shows_first_and_repairs_with_apply(run: Run, tmp_path: Path) -> None:
    assert run("reconcile")[:2] == (0, "Nothing is left to repair.\n")
    forge(tmp_path / "order.db", "DELETE FROM orders WHERE number = 1; UPDATE sqlite_sequence SET seq = 0")
    code, out, _ = run("reconcile")
    assert code == 1
    assert "key b" in out and "1 can be repaired: run it with --apply." in out
    assert len(Books.read(tmp_path).orders) == 1
    code, out, _ = run("reconcile", "--apply")
    assert code == 0
    assert "│ b            │ 2 Tux │ order 1 │" in out and "Nothing is left to repair." in out
    Books.read(tmp_path).check()


def test_reconcile_names_what_it_cannot_repair(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "order.db", "DELETE FROM orders WHERE number = 1")
    forge(tmp_path / "catalog.db", "UPDATE products SET quantity = 5 WHERE name = 'Bird'")
    code, out, _ = run("reconcile", "--apply", "--json")
    assert code == 1
    result = json.loads(out)
    assert result["repaired"] == [{"key": "b", "outcome": "order 2"}]
    assert [one["where"] for one in result["discrepancies"]] == ["Bird", "order 1"]
    assert "2 cannot be repaired by appending" in run("reconcile", "--apply")[1]


def test_a_backup_and_the_way_back(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("backup", str(tmp_path / "b"))
    assert code == 0
    assert f"{tmp_path}/b is complete. Clean: 2 orders" in out
    code, _, err = run("backup", str(tmp_path / "b"))
    assert code == 2
    assert err == f"toy store: {tmp_path}/b/catalog.db is there already; name a new folder for the backup\n"
    code, _, err = run("restore", str(tmp_path / "b"))
    assert code == 2
    assert "all of which is in the backup; move it away yourself" in err
    code, out, _ = run("restore", str(tmp_path / "b"), "--into", str(tmp_path / "r"), "--json")
    assert code == 0
    assert (json.loads(out)["folder"], json.loads(out)["clean"]) == (f"{tmp_path}/r", True)


@pytest.mark.parametrize("into", ["", "elsewhere"])
def test_the_stores_own_folder_is_no_backup(run: Run, tmp_path: Path, into: str) -> None:
    before = Books.read(tmp_path)
    code, out, err = run("restore", f"{tmp_path}/.", *(["--into", str(tmp_path / into)] if into else []))
    assert (code, out) == (2, "")
    assert err == (
        f"toy store: {tmp_path} is the store's own folder (DATA_DIR) and no backup; name one that backup has made\n"
    )
    assert Books.read(tmp_path) == before and not (tmp_path / "elsewhere").exists()


def test_a_backup_of_wrong_books_has_exit_code_1(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "catalog.db", "UPDATE products SET quantity = 5 WHERE name = 'Bird'")
    code, out, _ = run("backup", str(tmp_path / "b"))
    assert code == 1
    assert "1 discrepancy" in out and "has 5 pieces in stock, but 98 by its ledger" in out


@pytest.mark.parametrize("variable", ["CATALOG_BIND", "ORDER_BIND", "CATALOG", "ORDER"])
def test_a_restore_is_refused_while_a_tier_runs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    tier = variable.removesuffix("_BIND").lower()
    run("backup", str(tmp_path / "b"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "new"))
    server = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    address = f"127.0.0.1:{server.server_port}"
    try:
        monkeypatch.setenv(variable, address)
        code, _, err = run("restore", str(tmp_path / "b"))
        assert code == 2
        assert run("restore", str(tmp_path / "b"), "--into", str(tmp_path / "new"))[0] == 2, (
            "it is DATA_DIR all the same"
        )
        assert err == f"toy store: the {tier} tier runs at {address}: stop the store, or restore --into a folder\n"
        assert not (tmp_path / "new").exists()
        assert run("restore", str(tmp_path / "b"), "--into", str(tmp_path / "look"))[0] == 0
    finally:
        server.shutdown()
        server.server_close()
    assert run("restore", str(tmp_path / "b"))[0] == 0


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_the_owners_changes_happen_once_for_their_key(run: Run, tmp_path: Path) -> None:
    for arguments, stands in (
        (("add", "Cat", "1.50", "3"), "3 pieces at 1.50"),
        (("restock", "Cat", "2"), "5 pieces at 1.50"),
        (("price", "Cat", "1"), "5 pieces at 1.00"),
        (("writeoff", "Cat", "1", "--note", "fell off the shelf"), "4 pieces at 1.00"),
        (("correct", "Cat", "7", "--note", "counted [twice]"), "7 pieces at 1.00"),
        (("retire", "Cat"), "not for sale any more"),
    ):
        key = f"key-{arguments[0]}"
        assert run(*arguments, "--key", key) == (0, f"Done. Cat: {stands}. Key: {key}\n", "")
        assert run(*arguments, "--key", key) == (0, f"Already done. Cat: {stands}. Key: {key}\n", "")
    Books.read(tmp_path).check()
    assert run("audit")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "Cat", "1.50", "3"),
        ("restock", "Tux", "2"),
        ("price", "Tux", "1"),
        ("writeoff", "Tux", "1", "--note", "broken"),
        ("correct", "Tux", "7", "--note", "counted"),
        ("retire", "Tux"),
    ],
)
def test_a_change_of_the_catalog_needs_the_catalog_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """As in the container of the catalog tier, whose volume has no order log."""
    backup(tmp_path, tmp_path / "alone", lambda _step: None)
    (tmp_path / "alone" / "order.db").unlink()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "alone"))
    code, out, err = run(*arguments)
    assert (code, out[:5], err) == (0, "Done.", "")
    assert sorted(path.name for path in (tmp_path / "alone").iterdir()) == ["catalog.db"]


@pytest.mark.parametrize("note", ["", " ", "\u200b", "a\nb", "\x1b[2J", "\udce4", "x" * 501])
def test_a_note_is_a_line_that_one_can_read(run: Run, capsys: pytest.CaptureFixture[str], note: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["writeoff", "Tux", "1", "--note", note])
    assert ended.value.code == 2
    assert "argument --note: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("writeoff", "Tux", "1"), ("correct", "Tux", "1"), ("accept", "0123456789ab")])
def test_without_a_note_nothing_is_written_off_corrected_or_accepted(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    assert "the following arguments are required: --note" in capsys.readouterr().err


def test_a_discrepancy_is_named_accepted_and_shown_as_accepted(run: Run, tmp_path: Path) -> None:
    forge(
        tmp_path / "order.db", "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('mine', 'Tux', 1, 1)"
    )
    [wrong] = json.loads(run("audit", "--json")[1])["discrepancies"]
    name = wrong["fingerprint"]
    code, out, _ = run("audit")
    assert code == 1 and f"│ I3      │ order 2, key mine │ ordered, but never sold │ {name} │" in out
    accept = ("accept", name, "--note", "a gift [to Bär]", "--key", "k")
    done = f"Accepted {name}: I3, order 2, key mine: ordered, but never sold. Key: k\n"
    assert run(*accept) == (0, f"Done. {done}", "")
    assert run(*accept) == (0, f"Already done. {done}", "")
    code, out, _ = run("audit")
    assert code == 0
    assert "│ ordered, but never sold │ a gift [to Bär], " in out and "Clean, 1 accepted: 3 orders" in out
    result = json.loads(run("audit", "--json")[1])
    assert (result["clean"], result["discrepancies"]) == (True, [])
    [accepted] = result["accepted"]
    assert accepted.pop("time").startswith("20") and accepted.pop("by")
    assert accepted == {
        "promise": "I3",
        "where": "order 2, key mine",
        "what": "ordered, but never sold",
        "fingerprint": name,
        "note": "a gift [to Bär]",
    }
    assert run("reconcile")[:2] == (0, "Nothing is left to repair.\n")
    forge(tmp_path / "order.db", "DELETE FROM orders WHERE key = 'mine'; UPDATE sqlite_sequence SET seq = 1")
    assert run(*accept)[:2] == (0, f"Already done. Accepted {name}: not found any more. Key: k\n")
    result = json.loads(run(*accept, "--json")[1])
    assert result == {"done": "before", "key": "k", "discrepancy": None}


def test_what_the_audit_does_not_find_cannot_be_accepted(run: Run) -> None:
    code, out, err = run("accept", "0123456789ab", "--note", "never mind")
    assert (code, out) == (1, "")
    assert err == "accept: the audit finds no discrepancy 0123456789ab; nothing was changed\n"


def test_a_user_without_a_name_can_accept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container."""

    def nobody(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    forge(Path(os.environ["DATA_DIR"]) / "catalog.db", "UPDATE products SET price_cents = 1 WHERE name = 'Tux'")
    [wrong] = json.loads(run("audit", "--json")[1])["discrepancies"]
    assert run("accept", wrong["fingerprint"], "--note", "sale")[0] == 0
    assert json.loads(run("audit", "--json")[1])["accepted"][0]["by"] == f"user {os.getuid()}"


def test_a_change_as_json_says_when_it_was_done(run: Run) -> None:
    for done in ("now", "before"):
        result = json.loads(run("restock", "Tux", "3", "--key", "k", "--json")[1])
        assert result["done"] == done
        assert (result["key"], result["product"]["quantity"]) == ("k", 80)


def test_without_a_key_each_change_has_a_new_one(run: Run) -> None:
    keys = {run("restock", "Tux", "1")[1].rpartition(" ")[2] for _ in range(2)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("restock", "Nix", "1"), "restock: there is no 'Nix'; nothing was changed"),
        (("price", "Tux", "1", "--key", "a"), "price: the key 'a' stands for something else already (sold: 'Tux')"),
        (("add", "Tux", "1", "1"), "add: there is or was a 'Tux' already"),
        (
            ("writeoff", "Tux", "78", "--note", "stolen"),
            "writeoff: the stock of 'Tux' is 77 pieces, and not 78; nothing was changed",
        ),
        (("correct", "Nix", "7", "--note", "counted"), "correct: there is no 'Nix'; nothing was changed"),
    ],
)
def test_a_no_is_one_line_and_exit_code_1(run: Run, tmp_path: Path, arguments: tuple[str, ...], why: str) -> None:
    before = Books.read(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(why) and err.count("\n") == 1
    assert Books.read(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("restock", "Tux", "0"), "the quantity '0' is not a whole number from 1 to"),
        (("restock", "Tux", "-5"), "the quantity '-5' is not a whole number from 1 to"),
        (("restock", "Tux", "1000000001"), "the quantity '1000000001' is not a whole number from 1 to"),
        (("writeoff", "Tux", "0", "--note", "x"), "the quantity '0' is not a whole number from 1 to"),
        (("correct", "Tux", "-1", "--note", "x"), "the quantity '-1' is not a whole number from 0 to"),
        (("add", "Cat", "1", "-5"), "the quantity '-5' is not a whole number from 0 to"),
        (("price", "Tux", "1.999"), "the price '1.999' has more than 2 digits after the point"),
        (("price", "Tux", "-1"), "the price '-1' is below 0"),
        (("add", " Cat", "1", "1"), "the product name ' Cat' begins or ends with a blank"),
        (("price", "Tux", "1,5"), "the price '1,5' is not a number such as 25.99"),
        (("add", "a/b", "1", "1"), "the product name has a '/'"),
        (("retire", "Tux", "--key", "a b"), "the key is not 1 to 128 visible ASCII"),
        (("restock", "Tux", "1", "--key", "a,b"), "visible ASCII characters without a comma"),
        (("restock", "Tux", "1", "--key", ""), "the key is empty"),
        (("melt",), "invalid choice: 'melt'"),
        ((), "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    before = Books.read(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    assert Books.read(tmp_path) == before
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("status",), ("audit",), ("reconcile", "--apply"), ("restock", "Tux", "1")])
def test_where_there_is_no_store_none_is_made(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "nowhere"))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err == f"toy store: {tmp_path}/nowhere/catalog.db does not exist; DATA_DIR says where the store's state is\n"
    assert not (tmp_path / "nowhere").exists()


def test_a_busy_store_is_one_line_with_the_key_to_try_again(run: Run, tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "catalog.db"))
    other.execute("BEGIN IMMEDIATE")
    code, _, err = run("restock", "Tux", "1", "--key", "k")
    other.close()
    assert (code, err) == (2, "toy store: the store is busy, try again with --key k\n")


def test_an_audit_of_damaged_books_names_what_it_can(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "order.db", "DROP TABLE intents")
    code, out, _ = run("audit")
    assert code == 1
    assert "order.db: intents" in out and "the table is missing" in out
    assert re.search(r"^\d discrepancies; \d\.\d s\.$", out, re.MULTILINE)
    code, out, _ = run("audit", "--json")
    assert (code, json.loads(out)["status"]) == (1, None)


def test_a_damaged_database_is_exit_code_2_where_nothing_can_be_known(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "order.db", "DROP TABLE intents")
    code, out, err = run("status")
    assert (code, out, err) == (2, "", "toy store: no such table: log.intents\n")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_reads_well(run: Run, capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*([command] if command else []), "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: python -m admin {command}".rstrip())
    assert "exit code: 0 done" in out
    assert max(len(line) for line in out.splitlines()) <= 120


def test_who_sits_at_a_terminal_sees_what_is_under_way(run: Run) -> None:
    terminal, its_end = pty.openpty()
    process = subprocess.run([sys.executable, "-m", "admin", "audit"], cwd=ROOT, stderr=its_end, check=True)
    os.close(its_end)
    shown = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert process.returncode == 0
    assert "audit" in shown and "Traceback" not in shown


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_goes_away_is_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, unbuffered: str) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    process = begin("audit", stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, b"")


# The program, as patient with a lock as a test on a busy machine may need.
PATIENT = """
import runpy
import db.database

db.database.BUSY_TIMEOUT_MS = 600_000
runpy.run_module("admin", run_name="__main__")
"""


@pytest.mark.parametrize("times", [1, 1_000])
def test_a_ctrl_c_ends_a_wait_at_once_changes_nothing_and_is_no_traceback(run: Run, tmp_path: Path, times: int) -> None:
    before = Books.read(tmp_path)
    other = apsw.Connection(str(tmp_path / "catalog.db"))
    other.execute("BEGIN IMMEDIATE")  # so that the command waits
    with subprocess.Popen(
        [sys.executable, "-c", PATIENT, "restock", "Tux", "1"], cwd=ROOT, stderr=subprocess.PIPE
    ) as process:
        wait_until("it waits", lambda: any(name.endswith("catalog.db") for name in open_files(process.pid)))
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60 if times == 1 else 0.05)
                break
        process.kill()  # where the Ctrl-C was in vain
        assert process.stderr is not None
        assert (process.wait(), process.stderr.read().strip()) == (130, b"")
    other.close()
    assert Books.read(tmp_path) == before


def begin(*arguments: str, stdout: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "admin", *arguments], cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE
    )
