"""A store that goes to PostgreSQL and back is the same store, row by row and by its schema."""

import io
from contextlib import closing
from pathlib import Path

import apsw
import apsw.shell
import psycopg
import pytest

from db.postgres.copies.copy_in import copy_in
from db.postgres.copies.copy_out import copy_out
from db.postgres.copies.moment import Addresses
from db.postgres.copies.schemas import MIGRATIONS
from db.postgres.migrate import migrate
from db.sqlite.catalog import CatalogStore
from db.sqlite.compare import compare
from db.sqlite.order import OrderStore
from db.sqlite.pairing import require_matching
from db.sqlite.snapshots import CATALOG, FILES, Snapshots
from domain.checkout import Checkout
from domain.returns import Returns
from domain.values import Buy
from tests.support.audit import findings
from tests.support.backups import make_backup, no_progress
from tests.support.books import query


def dump(path: Path) -> str:
    """Returns what `.dump` of the SQLite shell prints: schema and rows as SQL."""
    output = io.StringIO()
    shell = apsw.shell.Shell(args=[str(path)], stdout=output)
    shell.command_dump([])  # type: ignore[no-untyped-call]
    shell.db.close()
    return "\n".join(line for line in output.getvalue().splitlines() if not line.startswith("--"))


def dumps(folder: Path) -> list[str]:
    """Returns the dumps of both files."""
    return [dump(folder / file.name) for file in FILES]


def test_what_comes_back_is_what_was_brought(source: Path, copied: Addresses, tmp_path: Path) -> None:
    copy_out(copied, tmp_path / "out", no_progress)
    assert dumps(tmp_path / "out") == dumps(source)


def test_out_in_and_out_again_gives_the_same(copied: Addresses, one_database: Addresses, tmp_path: Path) -> None:
    copy_out(copied, tmp_path / "out", no_progress)
    copy_in(tmp_path / "out", one_database, no_progress)
    copy_out(one_database, tmp_path / "again", no_progress)
    assert dumps(tmp_path / "again") == dumps(tmp_path / "out")


def test_the_copy_is_a_store_on_which_all_else_runs(source: Path, copied: Addresses, tmp_path: Path) -> None:
    result = copy_out(copied, tmp_path / "out", no_progress)
    assert result.is_clean
    assert len(result.accepted) == 1
    assert findings(tmp_path / "out") == findings(source)
    with Snapshots(source) as store, Snapshots(tmp_path / "out") as copy:
        assert compare(store, copy) == "all of which is in the backup"


def test_a_copy_is_a_backup_and_a_store_that_sells(copied: Addresses, tmp_path: Path) -> None:
    copy_out(copied, tmp_path / "out", no_progress)
    assert make_backup(tmp_path / "out", tmp_path / "backup").is_clean
    with (
        closing(CatalogStore(tmp_path / "out" / "catalog.db")) as catalog,
        closing(OrderStore(tmp_path / "out" / "order.db")) as log,
    ):
        assert require_matching(tmp_path / "out", CATALOG.name) is None
        checkout, returns = Checkout(log, catalog), Returns(log, catalog)
        checkout.settle(checkout.intents(10))
        returns.settle(returns.intents(10))
        assert (
            checkout.place(Buy("next", "Tux", 1))
            == len(query(tmp_path / "out" / "order.db", "SELECT 1 FROM orders")) - 1
        )
        assert checkout.intents(10) == []
    assert findings(tmp_path / "out") == []


def test_only_the_owner_can_read_the_copy(copied: Addresses, tmp_path: Path) -> None:
    copy_out(copied, tmp_path / "out", no_progress)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert [(tmp_path / "out" / file.name).stat().st_mode & 0o777 for file in FILES] == [0o600, 0o600]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["catalog.db", "order.db"]


def test_an_empty_store_can_be_copied_too(one_database: Addresses, tmp_path: Path) -> None:
    """Migrated, and never used: the log has no id of a store yet."""
    for file in FILES:
        migrate(one_database.of(file), file.schema, MIGRATIONS[file])
    assert copy_out(one_database, tmp_path / "out", no_progress).is_clean


def test_gaps_of_postgres_are_closed_on_the_way_out(copied: Addresses, tmp_path: Path) -> None:
    with psycopg.connect(copied.catalog) as catalog:
        catalog.execute("SELECT nextval(pg_get_serial_sequence('catalog.stock_ledger', 'entry'))")
        catalog.execute(
            "INSERT INTO catalog.stock_ledger (product, delta, balance, reason, key, price_cents) "
            "SELECT name, 1, quantity + 1, 'restock', 'after-the-gap', price_cents "
            "FROM catalog.products WHERE name = 'Tux'"
        )
        [(entry, count)] = catalog.execute("SELECT max(entry), count(*) FROM catalog.stock_ledger").fetchall()
    assert entry > count
    assert copy_out(copied, tmp_path / "out", no_progress).is_clean
    newest = query(tmp_path / "out" / "catalog.db", "SELECT max(entry), key FROM stock_ledger")
    assert newest == [(count, "after-the-gap")]


def test_numbers_go_on_behind_the_last_ones(source: Path, copied: Addresses) -> None:
    [(number, begun)] = query(source / "order.db", "SELECT max(number), (SELECT max(begun) FROM intents) FROM orders")
    with psycopg.connect(copied.log) as log:
        assert log.execute("SELECT number FROM log.last_number").fetchall() == [(number,)]
        log.execute("INSERT INTO log.intents (key, product, quantity) VALUES ('next', 'Tux', 1)")
        assert log.execute("SELECT begun FROM log.intents WHERE key = 'next'").fetchall() == [(begun + 1,)]


def test_the_triggers_watch_over_the_rows_that_were_copied(copied: Addresses) -> None:
    with psycopg.connect(copied.catalog) as catalog, pytest.raises(psycopg.Error, match="append-only"):
        catalog.execute("DELETE FROM catalog.stock_ledger")
    with psycopg.connect(copied.log) as log, pytest.raises(psycopg.Error, match="append-only"):
        log.execute("UPDATE log.orders SET quantity = 1")
