"""Accepted discrepancies: the audit passes with exactly these, and fails with any other."""

from pathlib import Path

import apsw
import pytest

from db.sqlite.audit.acceptance import accept, was_accepted
from db.sqlite.backup import backup, restore
from db.sqlite.catalog import CatalogStore
from db.sqlite.product_admin import ProductAdmin
from domain.errors import Invalid, KeyReused
from domain.values import Buy
from tests.support.audit import findings, run_audit
from tests.support.backups import no_progress
from tests.support.books import query
from tests.support.forgery import forge, forge_schema
from tests.unit.db.sqlite.audit.conftest import FORGED_ORDER, damage_page

FORGED_ENTRY = "UPDATE stock_ledger SET balance = 77 WHERE entry = 5"


def accept_all(books: Path) -> None:
    """Accepts every discrepancy that an audit finds now."""
    for number, one in enumerate(run_audit(books).discrepancies):
        assert accept(books / "catalog.db", one, "the old shop's books", "owner", f"accept-{number}") is True


def test_an_audit_is_clean_when_every_discrepancy_was_accepted(books: Path) -> None:
    forge(books / "order.db", FORGED_ORDER)
    forge(books / "catalog.db", FORGED_ENTRY)
    assert len(run_audit(books).discrepancies) == 3
    accept_all(books)
    result = run_audit(books)
    assert (result.is_clean, result.discrepancies) == (True, ())
    assert [(one.discrepancy.promise, one.note, one.by, one.time[:2]) for one in result.accepted] == [
        ("I1", "the old shop's books", "owner", "20"),
        ("I1", "the old shop's books", "owner", "20"),
        ("I3", "the old shop's books", "owner", "20"),
    ]


def test_a_later_discrepancy_is_named(books: Path) -> None:
    forge(books / "order.db", FORGED_ORDER)
    accept_all(books)
    forge(books / "catalog.db", FORGED_ENTRY)
    assert [line[:2] for line in findings(books)] == ["I1", "I1"]
    assert len(run_audit(books).accepted) == 1 and not run_audit(books).is_clean


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (FORGED_ENTRY, "UPDATE stock_ledger SET balance = 76 WHERE entry = 5"),
        ("UPDATE products SET quantity = 7 WHERE name = 'Tux'", "UPDATE products SET quantity = 8 WHERE name = 'Tux'"),
        ("UPDATE products SET price_cents = 7 WHERE name = 'Tux'", "UPDATE products SET price_cents = 8"),
        (
            "UPDATE products SET quantity = -1 WHERE name = 'Cat'",
            "UPDATE products SET price_cents = -1 WHERE name = 'Tux'",  # has the same finding: CHECK constraint failed
        ),
    ],
)
def test_a_changed_discrepancy_is_not_accepted(books: Path, first: str, then: str) -> None:
    forge(books / "catalog.db", first)
    accept_all(books)
    assert findings(books) == []
    forge(books / "catalog.db", then)
    assert findings(books) != []


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (
            "CREATE TRIGGER mine AFTER INSERT ON refused BEGIN SELECT 1; END",
            "DROP TRIGGER mine; CREATE TRIGGER mine AFTER INSERT ON refused BEGIN SELECT 2; END",
        ),
        (
            "DROP VIEW low_stock; CREATE VIEW low_stock AS SELECT 1",
            "DROP VIEW low_stock; CREATE VIEW low_stock AS SELECT 2",
        ),
        ("CREATE INDEX mine ON products (quantity)", "CREATE INDEX yours ON products (quantity)"),
        ("DROP TRIGGER refused_delete", "DROP TRIGGER refused_update"),
    ],
)
def test_a_later_change_of_the_schema_is_not_accepted(books: Path, first: str, then: str) -> None:
    forge_schema(books / "catalog.db", first)
    accept_all(books)
    assert findings(books) == []
    forge_schema(books / "catalog.db", then)
    assert [line[:6] for line in findings(books)] == ["schema"]


def test_discrepancies_with_equal_words_are_accepted_one_by_one(books: Path) -> None:
    """Their words are equal because `quick_check` does not name the row."""
    forge(books / "catalog.db", "UPDATE refused SET quantity = -1 WHERE key IN ('no1', 'no2')")
    alike = [one for one in run_audit(books).discrepancies if one.promise == "file"]
    assert len({one.what for one in alike}) == 1 and len({one.fingerprint for one in alike}) == 2
    accept(books / "catalog.db", alike[0], "a test", "owner", "k")
    assert [one.fingerprint for one in run_audit(books).discrepancies if one.promise == "file"] == [
        alike[1].fingerprint
    ]


def test_an_accepted_discrepancy_stays_accepted_while_the_store_sells(books: Path, catalog: CatalogStore) -> None:
    forge(books / "catalog.db", FORGED_ENTRY)
    accept_all(books)
    catalog.decrement(Buy("direct-2", "Tux", 1))
    assert findings(books) == []


def test_a_discrepancy_is_accepted_once_for_its_key(books: Path) -> None:
    forge(books / "catalog.db", FORGED_ENTRY)
    catalog = books / "catalog.db"
    one, other = run_audit(books).discrepancies
    assert accept(catalog, one, "a note", "owner", "k") is True
    assert accept(catalog, one, "a note", "somebody else", "k") is False
    assert was_accepted(catalog, one.fingerprint, "a note", "k") is True
    assert was_accepted(catalog, one.fingerprint, "a note", "unused") is False
    for discrepancy, note, key in ((other, "a note", "k"), (one, "another note", "k"), (other, "a note", "more")):
        with pytest.raises(KeyReused, match=f"the key '{key}' stands for something else"):
            accept(catalog, discrepancy, note, "owner", key)
    with pytest.raises(Invalid, match=f"the discrepancy {one.fingerprint} was accepted already"):
        accept(catalog, one, "a note", "owner", "another key")
    owner = ProductAdmin(catalog)
    with pytest.raises(KeyReused, match=f"stands for something else already .accepted: '{one.fingerprint}'"):
        owner.restock("Bird", 1, "k")
    owner.close()
    assert query(catalog, "SELECT count(*) FROM accepted_discrepancies") == [(1,)]


def test_a_repairable_discrepancy_cannot_be_accepted(books: Path, catalog: CatalogStore) -> None:
    catalog.sell([Buy("lost", "Tux", 1)])
    [one] = run_audit(books).discrepancies
    with pytest.raises(Invalid, match="reconcile --apply repairs this"):
        accept(books / "catalog.db", one, "never mind", "owner", "k")


def test_a_discrepancy_that_may_hide_more_cannot_be_accepted(books: Path) -> None:
    forge(books / "order.db", "DROP TABLE intents")
    hiding = [one for one in run_audit(books).discrepancies if "cannot be checked" in one.what]
    damage_page(books / "order.db")
    damage = [one for one in run_audit(books).discrepancies if one.promise == "file"]
    assert hiding and damage
    for one in (*hiding, *damage):
        with pytest.raises(Invalid, match="more may be wrong behind"):
            accept(books / "catalog.db", one, "never mind", "owner", "k")


def test_a_row_by_hand_accepts_no_discrepancy_that_may_hide_more(books: Path) -> None:
    """`accept` would refuse to write these rows."""
    forge_schema(books / "catalog.db", "DROP TRIGGER products_price; DROP TABLE product_history")
    for number, one in enumerate(run_audit(books).discrepancies):
        row = f"'{one.fingerprint}', 'I1', 'x', 'x', 'x', 'x', 'k{number}'"
        forge_schema(
            books / "catalog.db",
            "INSERT INTO accepted_discrepancies (fingerprint, promise, subject, finding, note, accepted_by, key)"
            f" VALUES ({row})",
        )
    remaining = run_audit(books).discrepancies
    assert remaining and all(one.hides for one in remaining)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE accepted_discrepancies SET note = 'x'", "append-only"),
        ("DELETE FROM accepted_discrepancies", "append-only"),
        ("REPLACE INTO accepted_discrepancies SELECT * FROM accepted_discrepancies", "append-only"),
        (
            "REPLACE INTO accepted_discrepancies (fingerprint, promise, subject, finding, note, accepted_by, key)"
            " SELECT fingerprint, promise, subject, finding, 'x', 'x', 'other' FROM accepted_discrepancies",
            "accepted at most once",
        ),
        (
            "REPLACE INTO accepted_discrepancies (fingerprint, promise, subject, finding, note, accepted_by, key)"
            " SELECT '0123456789ab', promise, subject, finding, 'x', 'x', key FROM accepted_discrepancies",
            "at most one discrepancy",
        ),
    ],
)
def test_acceptances_are_append_only(books: Path, sql: str, message: str) -> None:
    forge(books / "order.db", FORGED_ORDER)
    accept_all(books)
    with pytest.raises(apsw.ConstraintError, match=message):
        forge_schema(books / "catalog.db", sql)


def test_a_backup_contains_the_acceptances(books: Path, tmp_path: Path) -> None:
    forge(books / "order.db", FORGED_ORDER)
    accept_all(books)
    copied = backup(books, tmp_path / "b", no_progress)
    assert (copied.is_clean, len(copied.accepted)) == (True, 1)
    restored = restore(tmp_path / "b", tmp_path / "r", no_progress).audit
    assert (restored.is_clean, len(restored.accepted)) == (True, 1)
