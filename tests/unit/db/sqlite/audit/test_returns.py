"""The audit names every return that only one database has, that differs, or that exceeds its order."""

from pathlib import Path

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.returns import Return, Returns
from tests.support.audit import findings, run_audit
from tests.support.backups import make_backup
from tests.support.forgery import forge, forge_schema

A_MINUTE_AGO = "UPDATE return_intents SET time = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-60 seconds')"


@pytest.fixture
def given_back(books: Path, returns: Returns) -> Path:
    """Books in which both Tux of order 3, in two returns, and one each of the orders 4 to 6 were given back."""
    returns.give_back(Return("r0", 3, 1, "torn"))
    for key, number in (("r1", 3), ("r2", 4), ("r3", 5), ("r4", 6)):
        returns.give_back(Return(key, number, 1))
    return books


def test_an_audit_of_returns_is_clean(given_back: Path, tmp_path: Path) -> None:
    assert findings(given_back) == []
    make_backup(given_back, tmp_path / "b")
    assert findings(tmp_path / "b") == []


@pytest.mark.parametrize(
    ("sql", "lines"),
    [
        (
            "DELETE FROM returns WHERE key = 'r1'",
            [
                "I3 return 3: the returns 2 to 2 before it are missing",
                "I3 key r1: 1 Tux taken back, but never given back",
            ],
        ),
        ("DELETE FROM returns WHERE key = 'r4'", ["I3 key r4: 1 Tux taken back, but never given back"]),
        (
            "UPDATE returns SET number = 7 WHERE key = 'r2'",
            ["I3 return 3, key r2: 1 Tux of the sale k7 given back, 1 Tux of the sale k4 taken back"],
        ),
        (
            "UPDATE returns SET quantity = 2 WHERE key = 'r2'",
            ["I3 return 3, key r2: 2 Tux of the sale k4 given back, 1 Tux of the sale k4 taken back"],
        ),
        (
            "UPDATE returns SET quantity = 2 WHERE key = 'r1'",
            [
                "I3 order 3: 3 given back, but 2 bought",
                "I3 return 2, key r1: 2 Tux of the sale k3 given back, 1 Tux of the sale k3 taken back",
            ],
        ),
        (
            "INSERT INTO return_intents (key, number, quantity) VALUES ('mine', 3, 1)",
            ["I3 order 3: 3 given back, but 2 bought"],
        ),
        (
            "INSERT INTO returns (key, number, quantity) VALUES ('mine', 7, 1)",
            ["I3 return 6, key mine: 1 of order 7 given back, but never taken back"],
        ),
        (
            "INSERT INTO returns (key, number, quantity) VALUES ('k7', 7, 1)",
            ["I3 return 6, key k7: 1 of order 7 given back, but never taken back: the ledger has its key as sold"],
        ),
    ],
)
def test_a_forged_log_of_returns_is_named(given_back: Path, sql: str, lines: list[str]) -> None:
    forge(given_back / "order.db", sql)
    assert findings(given_back) == lines


def test_a_return_of_no_order_is_named(given_back: Path) -> None:
    forge(given_back / "order.db", "INSERT INTO returns (key, number, quantity) VALUES ('mine', 77, 1)")
    assert findings(given_back) == [
        "file order.db: row 6 of returns speaks of what is not in orders",
        "I3 order 77: 1 given back, but 0 bought",
        "I3 return 6, key mine: 1 of order 77 given back, but never taken back",
    ]


@pytest.mark.parametrize(
    ("sql", "lines"),
    [
        (
            "UPDATE stock_ledger SET sale = 'k7' WHERE key = 'r2'",
            ["I3 return 3, key r2: 1 Tux of the sale k4 given back, 1 Tux of the sale k7 taken back"],
        ),
        (
            "UPDATE stock_ledger SET sale = 'nix' WHERE key = 'r2'",
            [
                "I3 key nix: 1 taken back, but 0 sold",
                "I3 return 3, key r2: 1 Tux of the sale k4 given back, 1 Tux of the sale nix taken back",
            ],
        ),
        (
            "UPDATE stock_ledger SET sale = 'k3' WHERE key = 'r2'",
            [
                "I3 key k3: 3 taken back, but 2 sold",
                "I3 return 3, key r2: 1 Tux of the sale k4 given back, 1 Tux of the sale k3 taken back",
            ],
        ),
        (
            "UPDATE stock_ledger SET key = 'other' WHERE key = 'r4'",
            [
                "I3 return 5, key r4: 1 of order 6 given back, but never taken back",
                "I3 key other: 1 Tux taken back, but never given back",
            ],
        ),
        (
            "UPDATE stock_ledger SET reason = 'restock', sale = NULL WHERE key = 'r4'",
            ["I3 return 5, key r4: 1 of order 6 given back, but never taken back: the ledger has its key as restock"],
        ),
    ],
)
def test_a_forged_return_of_the_catalog_is_named(given_back: Path, sql: str, lines: list[str]) -> None:
    forge(given_back / "catalog.db", sql)
    assert findings(given_back) == lines


def test_a_key_that_gives_back_twice_is_named(given_back: Path) -> None:
    forge_schema(
        given_back / "order.db",
        "CREATE TABLE forged AS SELECT * FROM returns; INSERT INTO forged SELECT 6, key, number, quantity, note, time"
        " FROM returns WHERE key = 'r4'; DROP TABLE returns; ALTER TABLE forged RENAME TO returns",
    )
    assert "I3 key r4: gives back 2 times" in findings(given_back)


def test_a_return_in_doubt_is_named_once_it_is_overdue(
    given_back: Path, orders: OrderStore, catalog: CatalogStore
) -> None:
    orders.begin_returns([Return("d", 7, 2, "torn"), Return("e", 8, 1)])
    catalog.take_back(orders.return_intents(1))
    assert findings(given_back) == [], "its request may still be running"
    forge(given_back / "order.db", A_MINUTE_AGO)
    found = run_audit(given_back).discrepancies
    assert [(one.promise, one.where) for one in found] == [("I6", "key d"), ("I6", "key e")]
    assert "return of 2 of order 7 in doubt for 6" in found[0].what
    said = [one.what.rpartition("; ")[2] for one in found]
    assert said == ["the catalog says returned", "the catalog has not heard of it"]
    assert [one.repair for one in found] == [Return("d", 7, 2, "torn"), Return("e", 8, 1)]


def test_a_return_that_the_log_lacks_can_be_repaired_if_its_order_is_there(given_back: Path) -> None:
    forge(given_back / "order.db", "DELETE FROM returns WHERE key IN ('r0', 'r4'); DELETE FROM orders WHERE number = 6")
    repairs = {one.where: one.repair for one in run_audit(given_back).discrepancies if one.where.startswith("key r")}
    assert repairs == {"key r0": Return("r0", 3, 1, "torn"), "key r4": None}
