"""The commands of the owner's program: their output, exit codes and one-line errors."""

import http.server
import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest

from db.backup import backup
from db.last_audit import read_last_audit
from db.snapshots import CATALOG, LOG
from tests.support.backups import no_progress
from tests.support.books import Books
from tests.support.forgery import forge
from tests.support.write_lock import write_lock
from tests.unit.admin.conftest import Run


def test_status_prints_counts_sizes_and_the_last_order(run: Run) -> None:
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


def test_status_counts_retired_products_and_buys_in_doubt(run: Run, tmp_path: Path) -> None:
    run("retire", "Whale")
    forge(tmp_path / "order.db", "INSERT INTO intents (key, product, quantity) VALUES ('k', 'Tux', 1)")
    state = json.loads(run("status", "--json")[1])
    assert (state["products"], state["retired"], state["stock"]) == (4, 1, 356 - 94)
    assert state["intents"] == 1 and 0 <= state["oldest_intent_s"] < 60
    assert "1 buy, 0 returns, the oldest for " in run("status")[1]


def test_a_clean_audit_prints_the_counts(run: Run) -> None:
    code, out, err = run("audit")
    assert (code, err) == (0, "")
    assert out.startswith("Clean: 2 orders, 1 refused buy, 6 ledger entries of 4 products, 0 returns; in doubt: none; ")
    code, out, _ = run("audit", "--json")
    assert code == 0
    assert json.loads(out)["clean"] is True


def test_audit_prints_discrepancies_as_a_table_and_exits_with_1(run: Run, tmp_path: Path) -> None:
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


def test_reconcile_repairs_only_with_apply(run: Run, tmp_path: Path) -> None:
    assert run("reconcile")[:2] == (0, "Nothing is left to repair.\n")
    forge(tmp_path / "order.db", "DELETE FROM orders WHERE number = 1; UPDATE sqlite_sequence SET seq = 0")
    code, out, _ = run("reconcile")
    assert code == 1
    assert "key b" in out and "1 can be repaired: run it with --apply." in out
    assert len(Books.read(tmp_path).orders) == 1
    code, out, _ = run("reconcile", "--apply")
    assert code == 0
    assert "│ b            │ 2 Tux         │ order 1 │" in out and "Nothing is left to repair." in out
    Books.read(tmp_path).check()


def test_reconcile_names_the_discrepancies_that_it_cannot_repair(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "order.db", "DELETE FROM orders WHERE number = 1")
    forge(tmp_path / "catalog.db", "UPDATE products SET quantity = 5 WHERE name = 'Bird'")
    code, out, _ = run("reconcile", "--apply", "--json")
    assert code == 1
    result = json.loads(out)
    assert result["repaired"] == [{"key": "b", "outcome": "order 2"}]
    assert [one["where"] for one in result["discrepancies"]] == ["Bird", "order 1"]
    assert "2 cannot be repaired by appending" in run("reconcile", "--apply")[1]


def test_a_backup_is_restored(run: Run, tmp_path: Path) -> None:
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
def test_restore_refuses_the_stores_own_folder_as_the_backup(run: Run, tmp_path: Path, into: str) -> None:
    before = Books.read(tmp_path)
    code, out, err = run("restore", f"{tmp_path}/.", *(["--into", str(tmp_path / into)] if into else []))
    assert (code, out) == (2, "")
    assert err == (
        f"toy store: {tmp_path} is the store's own folder (DATA_DIR) and no backup; name one that backup has made\n"
    )
    assert Books.read(tmp_path) == before and not (tmp_path / "elsewhere").exists()


def test_a_backup_of_a_store_with_a_discrepancy_exits_with_1(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "catalog.db", "UPDATE products SET quantity = 5 WHERE name = 'Bird'")
    code, out, _ = run("backup", str(tmp_path / "b"))
    assert code == 1
    assert "1 discrepancy" in out and "has 5 pieces in stock, but 98 by its ledger" in out


@pytest.mark.parametrize("variable", ["CATALOG_BIND", "ORDER_BIND", "CATALOG", "ORDER"])
def test_restore_is_refused_while_a_tier_runs(
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
        assert err == f"toy store: the {tier} tier runs at {address}: stop the store, or restore --into a folder\n"
        into_data_dir = run("restore", str(tmp_path / "b"), "--into", str(tmp_path / "new"))
        assert into_data_dir[0] == 2, "--into DATA_DIR is refused too"
        assert not (tmp_path / "new").exists()
        assert run("restore", str(tmp_path / "b"), "--into", str(tmp_path / "elsewhere"))[0] == 0
    finally:
        server.shutdown()
        server.server_close()
    assert run("restore", str(tmp_path / "b"))[0] == 0


class Healthy(http.server.BaseHTTPRequestHandler):
    """Answers 200 to every GET, like a running tier."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_each_change_is_made_once_for_its_key(run: Run, tmp_path: Path) -> None:
    for arguments, state in (
        (("add", "Cat", "1.50", "3"), "3 pieces at 1.50"),
        (("restock", "Cat", "2"), "5 pieces at 1.50"),
        (("price", "Cat", "1"), "5 pieces at 1.00"),
        (("writeoff", "Cat", "1", "--note", "fell off the shelf"), "4 pieces at 1.00"),
        (("correct", "Cat", "7", "--note", "counted [twice]"), "7 pieces at 1.00"),
        (("retire", "Cat"), "not for sale any more"),
    ):
        key = f"key-{arguments[0]}"
        assert run(*arguments, "--key", key) == (0, f"Done. Cat: {state}. Key: {key}\n", "")
        assert run(*arguments, "--key", key) == (0, f"Already done. Cat: {state}. Key: {key}\n", "")
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
def test_a_change_needs_catalog_db_only(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """The container of the catalog tier has no order log in its volume."""
    backup(tmp_path, tmp_path / "alone", no_progress)
    (tmp_path / "alone" / "order.db").unlink()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "alone"))
    code, out, err = run(*arguments)
    assert (code, out[:5], err) == (0, "Done.", "")
    assert sorted(path.name for path in (tmp_path / "alone").iterdir()) == ["catalog.db"]


def test_an_accepted_discrepancy_is_shown_as_accepted(run: Run, tmp_path: Path) -> None:
    forge(
        tmp_path / "order.db", "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('mine', 'Tux', 1, 1)"
    )
    [wrong] = json.loads(run("audit", "--json")[1])["discrepancies"]
    fingerprint = wrong["fingerprint"]
    code, out, _ = run("audit")
    assert code == 1 and f"│ I3      │ order 2, key mine │ ordered, but never sold │ {fingerprint} │" in out
    accept = ("accept", fingerprint, "--note", "a gift [to Bär]", "--key", "k")
    done = f"Accepted {fingerprint}: I3, order 2, key mine: ordered, but never sold. Key: k\n"
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
        "fingerprint": fingerprint,
        "note": "a gift [to Bär]",
    }
    assert run("reconcile")[:2] == (0, "Nothing is left to repair.\n")


def test_an_accepted_discrepancy_that_is_gone_is_already_accepted(run: Run, tmp_path: Path) -> None:
    forge(
        tmp_path / "order.db", "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('mine', 'Tux', 1, 1)"
    )
    [wrong] = json.loads(run("audit", "--json")[1])["discrepancies"]
    accept = ("accept", wrong["fingerprint"], "--note", "a gift", "--key", "k")
    assert run(*accept)[0] == 0
    forge(tmp_path / "order.db", "DELETE FROM orders WHERE key = 'mine'; UPDATE sqlite_sequence SET seq = 1")
    assert run(*accept)[:2] == (0, f"Already done. Accepted {wrong['fingerprint']}: not found any more. Key: k\n")
    result = json.loads(run(*accept, "--json")[1])
    assert result == {"done": "before", "key": "k", "discrepancy": None}


def test_accept_refuses_a_discrepancy_that_the_audit_does_not_find(run: Run) -> None:
    code, out, err = run("accept", "0123456789ab", "--note", "never mind")
    assert (code, out) == (1, "")
    assert err == "accept: the audit finds no discrepancy 0123456789ab; nothing was changed\n"


def test_accept_stores_the_number_of_a_user_without_a_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container often runs as such a user."""

    def nobody(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    forge(Path(os.environ["DATA_DIR"]) / "catalog.db", "UPDATE products SET price_cents = 1 WHERE name = 'Tux'")
    [wrong] = json.loads(run("audit", "--json")[1])["discrepancies"]
    assert run("accept", wrong["fingerprint"], "--note", "sale")[0] == 0
    assert json.loads(run("audit", "--json")[1])["accepted"][0]["by"] == f"user {os.getuid()}"


def test_the_json_of_a_change_says_whether_it_was_made_before(run: Run) -> None:
    for done in ("now", "before"):
        result = json.loads(run("restock", "Tux", "3", "--key", "k", "--json")[1])
        assert result["done"] == done
        assert (result["key"], result["product"]["quantity"]) == ("k", 80)


def test_a_change_without_a_key_gets_a_new_key(run: Run) -> None:
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
def test_a_refused_change_is_one_line_and_exit_code_1(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    before = Books.read(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(why) and err.count("\n") == 1
    assert Books.read(tmp_path) == before


@pytest.mark.parametrize("arguments", [("status",), ("audit",), ("reconcile", "--apply"), ("restock", "Tux", "1")])
def test_without_a_store_no_command_creates_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "nowhere"))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err == f"toy store: {tmp_path}/nowhere/catalog.db does not exist; DATA_DIR says where the store's state is\n"
    assert not (tmp_path / "nowhere").exists()


def test_a_busy_store_is_one_line_with_the_key_for_a_retry(run: Run, tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "catalog.db"))
    other.execute("BEGIN IMMEDIATE")
    code, _, err = run("restock", "Tux", "1", "--key", "k")
    other.close()
    assert (code, err) == (2, "toy store: the store is busy, try again with --key k\n")


def test_audit_of_a_store_with_a_missing_table_names_the_table(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "order.db", "DROP TABLE intents")
    code, out, _ = run("audit")
    assert code == 1
    assert "order.db: intents" in out and "the table is missing" in out
    assert re.search(r"^\d discrepancies; \d\.\d s\.$", out, re.MULTILINE)
    code, out, _ = run("audit", "--json")
    assert (code, json.loads(out)["status"]) == (1, None)


def test_status_of_a_store_with_a_missing_table_exits_with_2(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "order.db", "DROP TABLE intents")
    code, out, err = run("status")
    assert (code, out, err) == (2, "", "toy store: no such table: log.intents\n")


def test_return_gives_pieces_of_an_order_back(run: Run, tmp_path: Path) -> None:
    code, out, err = run("return", "1", "1", "--note", "zu groß", "--key", "r")
    assert (code, err) == (0, "")
    assert out.startswith("Done. Order 1: 1 Tux given back at 20")
    assert out.endswith("Z, 1 of 2 by then. Key: r\n")
    assert run("return", "1", "1", "--note", "zu groß", "--key", "r") == (0, out, "")
    code, out, _ = run("return", "1", "--json")
    data = json.loads(out)
    assert len(data["key"]) == 32
    assert {name: data["return"][name] for name in ("number", "quantity", "returned")} == {
        "number": 1,
        "quantity": 1,
        "returned": 2,
    }
    books = Books.read(tmp_path)
    books.check()
    assert books.products["Tux"] == 79
    assert [number for _, number, _ in books.returns] == [1, 1]
    assert json.loads(run("status", "--json")[1])["returns"] == 2
    assert run("audit")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("1", "3"), "order 1 has 2 of its pieces left to give back, and not 3"),
        (("7",), "order not found"),
        (("1", "--key", "a"), "this Idempotency-Key was used for another product or quantity"),
    ],
)
def test_a_return_that_is_refused_changes_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    assert run("return", *arguments) == (1, "", f"return: {why}; nothing was changed\n")
    assert Books.read(tmp_path).returns == []


def test_return_needs_both_databases_of_one_store(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "order.db", f"INSERT OR REPLACE INTO store (id) VALUES ('{'0' * 32}')")
    code, _, err = run("return", "1")
    assert code == 2
    assert "nothing is changed between them" in err
    (tmp_path / "catalog.db").rename(tmp_path / "elsewhere.db")
    code, _, err = run("return", "1")
    assert code == 2
    assert "catalog.db" in err


def test_a_return_while_the_log_is_busy_names_the_key_to_repeat_it_with(run: Run, tmp_path: Path) -> None:
    with write_lock(tmp_path / "order.db"):
        code, _, err = run("return", "1", "--key", "r")
    assert code == 2
    assert "--key r" in err
    assert run("return", "1", "--key", "r")[0] == 0


def test_status_and_reconcile_name_a_return_in_doubt(run: Run, tmp_path: Path) -> None:
    forge(
        tmp_path / "order.db",
        "INSERT INTO return_intents (key, number, quantity, time) VALUES ('r', 1, 2, '2026-01-01T00:00:00.000Z')",
    )
    state = json.loads(run("status", "--json")[1])
    assert (state["intents"], state["return_intents"]) == (0, 1) and state["oldest_intent_s"] > 1000
    assert "0 buys, 1 return, the oldest for " in run("status")[1]
    code, out, _ = run("reconcile", "--apply")
    assert code == 0
    assert "│ r            │ 2 of order 1 back │ 2 pieces of order 1 given back │" in out
    Books.read(tmp_path).check()


def test_reconcile_repairs_an_order_and_then_its_return(run: Run, tmp_path: Path) -> None:
    run("return", "1", "--key", "r")
    forge(
        tmp_path / "order.db",
        "DELETE FROM returns; DELETE FROM orders WHERE number = 1; UPDATE sqlite_sequence SET seq = 0",
    )
    code, out, _ = run("reconcile", "--apply", "--json")
    assert code == 0
    outcomes = [(one["key"], one["outcome"]) for one in json.loads(out)["repaired"]]
    assert outcomes == [("b", "order 1"), ("r", "2 pieces of order 1 given back")]
    Books.read(tmp_path).check()


def test_each_audit_of_the_store_leaves_its_verdict(run: Run, tmp_path: Path) -> None:
    for command in ("audit", "reconcile"):
        assert run(command)[0] == 0
        record = read_last_audit(tmp_path)
        assert record is not None and record.is_clean
        (tmp_path / "audit.json").unlink()
    (tmp_path / "catalog.db").write_bytes(b"no database at all" * 1_000)
    assert run("audit")[0] == 1
    record = read_last_audit(tmp_path)
    assert record is not None and not record.is_clean
    assert record.discrepancies[0].startswith("file, catalog.db: ")


def test_an_audit_that_cannot_be_recorded_has_the_same_verdict(run: Run, tmp_path: Path) -> None:
    (tmp_path / "audit.json").mkdir()
    code, out, err = run("audit")
    assert (code, err) == (0, "")
    assert out.startswith("Clean: ")
