"""The commands of the owner's program that report: their output, exit codes and one-line errors."""

import json
import re
from pathlib import Path

import pytest

from db.sqlite.last_audit import read_last_audit
from db.sqlite.snapshots import CATALOG, LOG
from tests.support.books import Books
from tests.support.forgery import forge
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


@pytest.mark.parametrize("arguments", [("status",), ("audit",), ("reconcile", "--apply"), ("restock", "Tux", "1")])
def test_without_a_store_no_command_creates_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "nowhere"))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    where = "DATA_DIR says where the store's state is, or CATALOG_DATABASE and ORDER_DATABASE on PostgreSQL"
    assert err == f"toy store: {tmp_path}/nowhere/catalog.db does not exist; {where}\n"
    assert not (tmp_path / "nowhere").exists()


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
