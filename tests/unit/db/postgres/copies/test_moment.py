"""A copy shows one moment of a store that goes on selling, and lets the server go before it builds its files."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from db.postgres.catalog import CatalogStore
from db.postgres.connection import Connection
from db.postgres.copies import moment
from db.postgres.copies.copy_in import copy_in
from db.postgres.copies.copy_out import copy_out, write_copy
from db.postgres.copies.moment import Addresses, one_moment
from db.postgres.database import Database
from db.postgres.order import OrderStore
from db.sqlite.audit import audit, checks_as_of
from db.sqlite.backup import CopyFailed
from db.sqlite.snapshots import CATALOG, LOG, Snapshots
from domain.checkout import Checkout
from domain.values import Buy, Sold
from tests.support.backups import no_progress
from tests.support.books import query
from tests.support.lock_waits import WAITING, others, start
from tests.support.postgres import TestServer
from tests.support.waiting import wait_until


@pytest.fixture
def checkout(copied: Addresses) -> Iterator[Checkout]:
    """A checkout over both schemas."""
    with closing(Database(copied.catalog, "catalog")) as catalog, closing(Database(copied.log, "log")) as log:
        yield Checkout(OrderStore(log), CatalogStore(catalog))


def restock(address: str) -> None:
    """Puts many pieces in stock."""
    with psycopg.connect(address) as catalog:
        catalog.execute(
            "INSERT INTO catalog.stock_ledger (product, delta, balance, reason, key, price_cents) "
            "SELECT name, 1000000, quantity + 1000000, 'restock', 'many', price_cents "
            "FROM catalog.products WHERE name = 'Tux'"
        )


def test_a_copy_beside_buys_has_each_of_them_whole(copied: Addresses, checkout: Checkout, tmp_path: Path) -> None:
    """Each sale in it is an order or in doubt, and each order is sold, whenever the copy was made."""
    restock(copied.catalog)
    ending = threading.Event()

    def shop() -> None:
        while not ending.is_set():
            checkout.place_all([Buy(uuid.uuid4().hex, "Tux", 1)])

    with ExitStack() as stack:
        for _ in range(4):
            thread = threading.Thread(target=shop)
            thread.start()
            stack.callback(thread.join)
        stack.callback(ending.set)
        counts = []
        for number in range(5):
            folder = tmp_path / f"copy-{number}"
            assert copy_out(copied, folder, no_progress).discrepancies == ()
            counts += query(folder / "order.db", "SELECT count(*) FROM orders")
    assert counts == sorted(set(counts)), "buys went on between the copies"


def test_no_buy_comes_between_the_moments_of_two_databases(
    copied: Addresses, checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While both transactions begin, the log takes no intent: the buy is whole behind both of them, or before."""
    buy = threading.Thread(target=lambda: checkout.place_all([Buy("between", "Tux", 1)]))
    begin = moment._begin_snapshot

    def begin_and_let_buy(connection: Connection, address: str) -> None:
        begin(connection, address)
        if buy.ident is None:
            buy.start()
            buy.join(1)  # it waits for the lock; without one it would have ended

    monkeypatch.setattr(moment, "_begin_snapshot", begin_and_let_buy)
    assert copy_out(copied, tmp_path / "out", no_progress).is_clean
    buy.join()
    assert query(tmp_path / "out" / "catalog.db", "SELECT 1 FROM stock_ledger WHERE key = 'between'") == []
    assert query(tmp_path / "out" / "order.db", "SELECT 1 FROM orders WHERE key = 'between'") == []


def test_the_server_is_let_go_before_the_files_are_built(copied: Addresses, tmp_path: Path) -> None:
    """A snapshot that is held while SQLite makes its indexes would slow the buys down."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'test_%' AND pid <> pg_backend_pid()"
    seen = {}

    def look(step: str) -> None:
        with psycopg.connect(copied.log) as shell:
            [(seen[step],)] = shell.execute(sql).fetchall()

    copy_out(copied, tmp_path / "out", look)
    assert seen["log.orders is read, 0 rows"] >= 1
    assert seen["catalog.stock_ledger is written, 0 rows"] == 0


def test_one_transaction_is_idle_while_the_other_database_is_read(copied: Addresses) -> None:
    """The tiers' transactions are ended after 3 s of that."""
    with one_moment(copied) as both:
        for file in (CATALOG, LOG):
            shown = both.connections[file].execute("SHOW idle_in_transaction_session_timeout").fetchall()
            assert shown == [("0",)]


def test_a_copy_cannot_write(copied: Addresses) -> None:
    with one_moment(copied) as both, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        both.connections[LOG].execute("DELETE FROM log.intents")


def test_the_age_of_what_is_in_doubt_is_that_at_the_moment(copied: Addresses, tmp_path: Path) -> None:
    """A copy and its audit may take longer than a buy may be in doubt."""
    time_s = write_copy(copied, tmp_path, no_progress)
    assert abs(time_s - time.time()) < 60
    with Snapshots(tmp_path) as copy:
        assert audit(copy, checks_as_of(time_s)).is_clean
        late = audit(copy, checks_as_of(time_s + 3600)).discrepancies
    assert [one.promise for one in late] == ["I6", "I6"]


def test_a_log_that_stays_locked_is_told(copied: Addresses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for ever, and buys do not wait behind the copy for long."""
    monkeypatch.setattr(moment, "WAIT_TIMEOUT_S", 0.5)
    with psycopg.connect(copied.log) as other:
        other.execute("LOCK TABLE log.orders IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CopyFailed, match=r"the server has not answered within 0\.5 s"):
            copy_out(copied, tmp_path / "out", no_progress)
    wait_until("the log is free", lambda: copy_out(copied, tmp_path / "out", no_progress).is_clean)


def test_reading_is_enough_to_copy_one_database(source: Path, one_database: Addresses, tmp_path: Path) -> None:
    copy_in(source, one_database, no_progress)
    with psycopg.connect(one_database.log, autocommit=True) as owner:
        for sql in (
            "CREATE ROLE reader LOGIN PASSWORD 'reader'",
            "GRANT USAGE ON SCHEMA catalog, log TO reader",
            "GRANT SELECT ON ALL TABLES IN SCHEMA catalog, log TO reader",
        ):
            owner.execute(sql.encode())
        try:
            reading = psycopg.conninfo.make_conninfo(one_database.log, user="reader", password="reader")
            assert copy_out(Addresses(reading, reading), tmp_path / "out", no_progress).is_clean
        finally:
            owner.execute("DROP OWNED BY reader; DROP ROLE reader")


def test_a_copy_that_stands_still_soon_keeps_no_buy_waiting(copied: Addresses, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process may be stopped, or its machine may have died. What it would then read is no copy."""
    monkeypatch.setattr(moment, "MAX_IDLE_LOCKED_S", 0.2)
    with (
        closing(Database(copied.log, "log")) as log,
        pytest.raises(CopyFailed, match="idle-in-transaction"),
        moment._log_locked(copied, standbys={}),
    ):
        OrderStore(log).begin([Buy("behind-it", "Tux", 1)])  # has no more patience than lock_timeout


def test_a_copy_and_a_buy_that_ends_do_not_wait_for_each_other(postgres_server: TestServer, source: Path) -> None:
    """The buy has written its order, and has yet to delete its intent, when the copy comes to lock both tables."""
    buy = Buy("ending", "Tux", 1)
    with postgres_server.database() as one, postgres_server.database() as other:
        addresses = Addresses(one, other)
        copy_in(source, addresses, no_progress)
        with closing(Database(addresses.log, "log")) as log, psycopg.connect(addresses.log, autocommit=True) as shell:
            orders = OrderStore(log)
            orders.begin([buy])
            with others(addresses.log, "log", ("SELECT 1 FROM last_number FOR UPDATE", {})):
                ending, placed = start(lambda: orders.finish([(buy, Sold(1))]), shell)
                copying = threading.Thread(target=lambda: _look_at_one_moment(addresses))
                copying.start()
                wait_until("the copy waits too", lambda: len(shell.execute(WAITING).fetchall()) == 2)
            for thread in (ending, copying):
                thread.join()
            log.close()
            # A connection reports its deadlocks at its end at the latest.
            wait_until("the connections have ended", lambda: shell.execute(CONNECTIONS).fetchall() == [(1,)])
            assert shell.execute(DEADLOCKS).fetchall() == [(0,)]
        assert placed == [[6]]


CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def _look_at_one_moment(addresses: Addresses) -> None:
    with one_moment(addresses):
        pass
