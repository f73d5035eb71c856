"""Fixes one moment of both schemas for a copy, while the store goes on selling.

In one database a single transaction sees both schemas at one moment, also at a standby. Two databases share no
snapshot. The copy then locks the order log for the few milliseconds in which it begins a transaction in each. Meanwhile
no intent and no order is written, so each sale in the catalog's snapshot is an order or an intent in the log's, and
each order there is a sale in the catalog's.

The transactions are READ ONLY and end with the copy. They are short: what they could still see cannot be vacuumed, and
the rows of the products are updated by each sale.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from db.postgres.connection import Connection, connect, describe
from db.postgres.copies.schemas import require_current
from db.postgres.errors import Kind, explain, kind_of
from db.sqlite.backup import CopyFailed
from db.sqlite.snapshots import CATALOG, FILES, LOG, File

# A copy waits longer than a tier: the first row of a table may take its time.
WAIT_TIMEOUT_S = 60.0
# Buys wait as long as the order log is locked, or as a copy waits for its lock behind a slow commit.
LOCK_ATTEMPTS = 5
STANDBY_TIMEOUT_S = 2.0
# A copy that stands still while it has the lock, or whose machine has died, loses the lock: buys wait for it. It is
# longer than a copy from a standby waits for both databases.
MAX_IDLE_LOCKED_S = 6.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of both schemas, as libpq reads them. They may have passwords: print describe() of one."""

    catalog: str = field(repr=False)
    log: str = field(repr=False)

    def of(self, file: File) -> str:
        """Returns the address of the schema that a file of SQLite stands for."""
        return self.catalog if file is CATALOG else self.log

    @property
    def are_one(self) -> bool:
        """Whether both schemas are in one database, at which the store has one role."""
        return conninfo_to_dict(self.catalog) == conninfo_to_dict(self.log)

    @property
    def of_standby(self) -> "Addresses":
        """The same hosts, of which one is used that is a standby."""
        return Addresses(
            make_conninfo(self.catalog, target_session_attrs="standby"),
            make_conninfo(self.log, target_session_attrs="standby"),
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """A connection to each schema, which sees it as of the moment, and the log's clock then (POSIX seconds)."""

    connections: Mapping[File, Connection]
    time_s: float


@contextmanager
def one_moment(addresses: Addresses, *, from_standby: bool = False) -> Iterator[Moment]:
    """Yields both schemas at one moment. With `from_standby` a standby among the hosts is read. Raises CopyFailed."""
    sources = addresses.of_standby if from_standby else addresses
    with ExitStack() as stack:
        if addresses.are_one:
            one = stack.enter_context(opened(sources.log))
            connections = {CATALOG: one, LOG: one}
            _begin_snapshot(one, sources.log)
        else:
            connections = {file: stack.enter_context(opened(sources.of(file))) for file in FILES}
            with _log_locked(addresses, standbys=connections if from_standby else {}):
                for file, connection in connections.items():
                    _begin_snapshot(connection, sources.of(file))
        with errors_as_copy_failed(sources.log):
            [(time_s,)] = connections[LOG].execute(_CLOCK).fetchall()
        yield Moment(connections, time_s)


@contextmanager
def opened(address: str) -> Iterator[Connection]:
    """Yields a new connection whose transactions may be idle for long. Raises CopyFailed when it cannot be opened."""
    with errors_as_copy_failed(address):
        connection = connect(address, "pg_catalog", WAIT_TIMEOUT_S)
    with closing(connection):
        with errors_as_copy_failed(address):
            connection.execute(_ALLOW_IDLE)
        yield connection


@contextmanager
def errors_as_copy_failed(address: str) -> Iterator[None]:
    """Raises CopyFailed, which names the address without its password, for an error of PostgreSQL."""
    try:
        yield
    except psycopg.Error as error:
        raise CopyFailed(f"{describe(address)}: {explain(error)}") from error


# While one table is read, the transaction at the other database is idle.
_ALLOW_IDLE = "SET idle_in_transaction_session_timeout = 0"
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"
# The first statement of the transaction takes its snapshot.
_BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_TAKE_SNAPSHOT = "SELECT 1"


def _begin_snapshot(connection: Connection, address: str) -> None:
    with errors_as_copy_failed(address):
        connection.execute(_BEGIN_SNAPSHOT)
        connection.execute(_TAKE_SNAPSHOT)


_END_IDLE = "SELECT set_config('idle_in_transaction_session_timeout', %(timeout_ms)s::text, false)"
_BEGIN = "BEGIN"
_ROLLBACK = "ROLLBACK"
# SHARE lets others read. It waits for the writers that are at work, and those that come later wait behind it. The keys
# come first, as for each writer: a writer in the middle of its tables and this lock would wait for each other.
_LOCK = """
    LOCK TABLE log.keys, log.intents, log.orders, log.refused, log.return_intents, log.returns IN SHARE MODE"""
_POSITION = "SELECT pg_current_wal_lsn()::text"
_HAS_REPLAYED = "SELECT pg_last_wal_replay_lsn() >= %(position)s::pg_lsn"


@contextmanager
def _log_locked(addresses: Addresses, standbys: Mapping[File, Connection]) -> Iterator[None]:
    """Locks the order log's tables against writers, and waits until the `standbys` have all that was written before.

    Raises CopyFailed at the end of the block, too, when the server has ended the lock meanwhile.
    """
    with opened(addresses.log) as log:
        with errors_as_copy_failed(addresses.log):
            require_current(log, LOG, addresses.log)
            log.execute(_END_IDLE, {"timeout_ms": int(MAX_IDLE_LOCKED_S * 1000)})
            _lock(log)
        for file, standby in standbys.items():
            with opened(addresses.of(file)) as primary, errors_as_copy_failed(addresses.of(file)):
                [(position,)] = primary.execute(_POSITION).fetchall()
            with errors_as_copy_failed(addresses.of(file)):
                _wait_for(standby, position, addresses.of(file))
        yield
        with errors_as_copy_failed(addresses.log):
            log.execute(_ROLLBACK)


def _lock(log: Connection) -> None:
    """Locks the order log. Raises psycopg.Error."""
    for attempt in range(LOCK_ATTEMPTS):
        log.execute(_BEGIN)
        try:
            log.execute(_LOCK)
            return
        except psycopg.Error as error:
            if kind_of(error) is not Kind.CONFLICT or attempt == LOCK_ATTEMPTS - 1:
                raise
            log.execute(_ROLLBACK)


def _wait_for(standby: Connection, position: str, address: str) -> None:
    """Waits until the standby shows what its primary had written at `position`. Raises CopyFailed when it lags."""
    deadline = time.monotonic() + STANDBY_TIMEOUT_S
    while standby.execute(_HAS_REPLAYED, {"position": position}).fetchall() != [(True,)]:
        if time.monotonic() > deadline:
            raise CopyFailed(f"{describe(address)}: the standby is behind its primary; try again, or copy from that")
        time.sleep(0.02)
