"""The books are copied from a standby, and are those of one moment there too."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from db.postgres.copies import moment
from db.postgres.copies.copy_in import copy_in
from db.postgres.copies.copy_out import copy_out
from db.postgres.copies.moment import Addresses
from db.sqlite.backup import CopyFailed
from tests.support.backups import no_progress
from tests.support.books import query
from tests.support.postgres import TestServer
from tests.support.postgres_standby import Standby
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def primary() -> Iterator[TestServer]:
    """A server that has a standby."""
    server = TestServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def standby(primary: TestServer) -> Iterator[Standby]:
    """The standby of that server."""
    server = Standby(Path(tempfile.mkdtemp(prefix="toystore-standby-")), primary.embedded)
    server.start()
    yield server
    server.stop()


def of_both(address: str, standby: Standby) -> str:
    """Returns the address with the standby as its second host."""
    primary = psycopg.conninfo.conninfo_to_dict(address)
    return address.replace(f":{primary['port']}/", f":{primary['port']},127.0.0.1:{standby.port}/")


@pytest.fixture(params=["one database", "two databases"])
def addresses(
    request: pytest.FixtureRequest, source: Path, primary: TestServer, standby: Standby
) -> Iterator[Addresses]:
    """The addresses of a store that was copied to both servers, in one database or in two."""
    with primary.database() as one, primary.database() as other:
        log = one if request.param == "one database" else other
        addresses = Addresses(of_both(one, standby), of_both(log, standby))
        copy_in(source, addresses, no_progress)
        yield addresses


def restock_at(address: str) -> None:
    """Adds a piece, by the primary."""
    with psycopg.connect(f"{address}?target_session_attrs=read-write") as catalog:
        catalog.execute(
            "INSERT INTO catalog.stock_ledger (product, delta, balance, reason, key, price_cents) "
            "SELECT name, 1, quantity + 1, 'restock', 'late', price_cents FROM catalog.products WHERE name = 'Tux'"
        )


def has_late_piece(folder: Path) -> bool:
    """Whether the copy has that piece."""
    return bool(query(folder / "catalog.db", "SELECT 1 FROM stock_ledger WHERE key = 'late'"))


def test_a_standby_has_the_books_too(addresses: Addresses, tmp_path: Path) -> None:
    """Of two databases it is waited for, so that each sale is an order or in doubt."""
    wait_until("the standby follows", lambda: follows(addresses))
    if not addresses.are_one:
        restock_at(addresses.catalog)
    assert copy_out(addresses, tmp_path / "out", no_progress, from_standby=True).is_clean
    assert has_late_piece(tmp_path / "out") is not addresses.are_one


def follows(addresses: Addresses) -> bool:
    """Whether the standby has the whole store."""
    try:
        log = psycopg.connect(addresses.of_standby.log)
    except psycopg.OperationalError:  # it has not heard of the database yet
        return False
    with log:
        return log.execute("SELECT to_regclass('log.orders') IS NOT NULL").fetchall() == [(True,)]


def test_a_standby_that_lags_gives_an_older_moment_or_none(
    addresses: Addresses, standby: Standby, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_until("the standby follows", lambda: follows(addresses))
    monkeypatch.setattr(moment, "STANDBY_TIMEOUT_S", 0.2)
    with psycopg.connect(standby.address(), autocommit=True) as shell:
        shell.execute("SELECT pg_wal_replay_pause()")
        try:
            restock_at(addresses.catalog)
            if addresses.are_one:
                assert copy_out(addresses, tmp_path / "out", no_progress, from_standby=True).is_clean
                assert not has_late_piece(tmp_path / "out")
            else:
                with pytest.raises(CopyFailed, match="the standby is behind its primary"):
                    copy_out(addresses, tmp_path / "out", no_progress, from_standby=True)
        finally:
            shell.execute("SELECT pg_wal_replay_resume()")
    # Nothing is locked any more.
    with psycopg.connect(f"{addresses.log}?target_session_attrs=read-write") as log:
        log.execute("SET lock_timeout = '1s'")
        log.execute("LOCK TABLE log.intents IN ROW EXCLUSIVE MODE")


def test_without_a_standby_there_is_none_to_read(source: Path, one_database: Addresses, tmp_path: Path) -> None:
    copy_in(source, one_database, no_progress)
    with pytest.raises(CopyFailed, match="standby"):
        copy_out(one_database, tmp_path / "out", no_progress, from_standby=True)
