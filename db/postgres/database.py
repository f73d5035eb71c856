"""One database of PostgreSQL that all threads of a process use: transactions, and the errors of the server."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from db import outages
from db.postgres.connection import WAIT_TIMEOUT_S, Connection, connect, describe
from db.postgres.durability import NotDurable, require_durable
from db.postgres.errors import Kind, explain, explain_to_shopper, kind_of
from db.postgres.parameters import to_psycopg
from db.postgres.pool import Away, Exhausted, Pool
from domain.errors import Unavailable

T = TypeVar("T")
Row = tuple[Any, ...]
Statement = tuple[str, Mapping[str, Any]]

# The connections of one process to one database. The server's max_connections must hold those of all processes.
MAX_CONNECTIONS = 10
# How long a thread waits for one of them.
_POOL_TIMEOUT_S = 1.0
# A transaction that others were in the way of is run again, at most this often.
MAX_ATTEMPTS = 5
_PAUSE_S = 0.02

# A transaction that writes nothing does not wait for the standby at COMMIT, so what it read may be lost with the
# primary: it could tell the number of an order that is gone later. The message makes each transaction one that writes.
# It needs no privilege and takes no lock, and nobody reads it.
_WRITE: Sequence[Statement] = (
    ("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", {}),
    ("SELECT pg_logical_emit_message(true, 'toystore', '')", {}),
)
_SNAPSHOT: Sequence[Statement] = (("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {}),)
_COMMIT: Statement = ("COMMIT", {})
_NOTHING: Statement = ("SELECT 1", {})


class _Repeatable(Exception):
    """Nothing of the transaction is stored, and it may be run again at once."""


class _OutcomeUnknown(Exception):
    """The server was asked to commit and has not answered that it has: the transaction is stored, or it is not."""


class Session:
    """The statements of one transaction, on one connection. SQL texts have `:named` parameters.

    The statements that open the transaction travel with the first of the block, so they cost no round trip.
    """

    def __init__(self, connection: Connection, opening: Sequence[Statement] = ()) -> None:
        self._connection = connection
        self._opening = opening
        self._is_open = False
        self._is_done = not opening  # without an opening, each statement is its own transaction

    def fetch_all(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        """Runs one statement in one round trip, and returns all its rows."""
        return self.fetch_together((sql, values))[0]

    def fetch_together(self, *statements: Statement) -> list[list[Row]]:
        """Runs statements in their order in one round trip. Returns all rows of each, none for one without rows."""
        assert not (self._is_done and self._opening), "the transaction was committed"
        opening = () if self._is_open else self._opening
        self._is_open = True
        return _run(self._connection, (*opening, *statements))[len(opening) :]

    def commit_with(self, *statements: Statement) -> list[list[Row]]:
        """Runs the last statements of a `write` block and its COMMIT in one round trip, and returns their rows."""
        connection = self._connection
        connection.warnings.clear()
        try:
            results = self.fetch_together(*statements, _COMMIT)
        except psycopg.Error as error:
            if not _was_rolled_back(connection, error):
                raise _OutcomeUnknown(explain(error)) from error
            raise
        self._is_done = True
        if connection.warnings:
            # Whatever it says: for example, that the server did not wait for its standby.
            raise _OutcomeUnknown(f"COMMIT brought a warning ({connection.warnings[0]})")
        return results[:-1]

    def commit(self) -> None:
        """Commits, unless `commit_with` has."""
        if self._is_open and not self._is_done:
            self.commit_with()

    def roll_back(self) -> None:
        """Rolls back an open transaction. Closes the connection when that fails."""
        connection = self._connection
        if connection.closed or connection.info.transaction_status == TransactionStatus.IDLE:
            return
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()


def _run(connection: Connection, statements: Sequence[Statement]) -> list[list[Row]]:
    """Runs statements in one round trip. Raises psycopg.Error, and then the server has run none after the failed one."""
    if len(statements) == 1:
        sql, values = statements[0]
        return [_rows(connection.execute(to_psycopg(sql), values))]
    with connection.pipeline():
        cursors = [connection.execute(to_psycopg(sql), values) for sql, values in statements]
    return [_rows(cursor) for cursor in cursors]


def _rows(cursor: psycopg.Cursor[Row]) -> list[Row]:
    return cursor.fetchall() if cursor.description else []


def _was_rolled_back(connection: Connection, error: psycopg.Error) -> bool:
    """Whether an error that came instead of the answer to COMMIT says that nothing is stored."""
    if connection.closed:
        return False
    # An earlier statement failed, so the server ran no COMMIT; or COMMIT itself found a broken constraint.
    return connection.info.transaction_status == TransactionStatus.INERROR or kind_of(error) is Kind.MISTAKE


class Database:
    """One schema of a database. Threads share this object, which opens connections when they are needed.

    A transaction that only writes once is a `with` block of `write`. One that may meet others, as each buy does, is a
    function for `run`, which runs it again after a deadlock. All raise Unavailable when the server gives no answer, or
    none that can be trusted: the client asks again with the same key.
    """

    def __init__(
        self,
        address: str,
        schema: str,
        max_connections: int = MAX_CONNECTIONS,
        wait_timeout_s: float = WAIT_TIMEOUT_S,
        require: Callable[[], object] = lambda: None,
    ) -> None:
        """Opens nothing. Calls `require` before the first use; StartRefused from it makes that use Unavailable."""
        self.address = address
        self.schema = schema
        self.name = f"{describe(address)} ({schema})"
        self._wait_timeout_s = wait_timeout_s
        self._pool = Pool(self._connect, max_connections, _POOL_TIMEOUT_S)

    def _connect(self) -> Connection:
        connection = connect(self.address, self.schema, self._wait_timeout_s)
        try:
            require_durable(connection.server, connection.info.server_version)
        except BaseException:
            connection.close()
            raise
        return connection

    def run(self, work: Callable[[Session], T]) -> T:
        """Runs `work` in one transaction as `write` does, and again when another transaction was in the way.

        Nothing is stored of an attempt that failed. So `work` must change nothing but the database.
        """
        deadline = time.monotonic() + self._wait_timeout_s
        for attempt in range(1, MAX_ATTEMPTS + 1):
            with suppress(_Repeatable), self._transaction(_WRITE) as session:
                return work(session)
            if time.monotonic() > deadline:
                break
            time.sleep(random.uniform(0.5, 1.5) * _PAUSE_S * attempt)
        raise Unavailable(retry_after_s=1)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Runs the block in one READ COMMITTED transaction, and commits at its end; an exception rolls it back."""
        try:
            with self._transaction(_WRITE) as session:
                yield session
        except _Repeatable as error:
            raise Unavailable(retry_after_s=1) from error

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yields a session each of whose calls is a READ COMMITTED transaction of its own.

        What is read may be lost with the primary, so it must not tell the outcome of a buy: that is for `run`.
        """
        try:
            with self._transaction(()) as session:
                yield session
        except _Repeatable as error:
            raise Unavailable(retry_after_s=1) from error

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Runs the block in one REPEATABLE READ transaction that only reads: all its statements see the same moment.

        It should be short: while it lasts, the server keeps each old version of each changed row.
        """
        try:
            with self._transaction(_SNAPSHOT) as session:
                yield session
        except _Repeatable as error:
            raise Unavailable(retry_after_s=1) from error

    def require_writable(self) -> None:
        """Commits a transaction that changes nothing. Raises Unavailable as `write` does."""
        with self.write() as session:
            session.commit_with(_NOTHING)

    def close(self) -> None:
        """Closes the connections that nobody uses. The next use opens another one."""
        self._pool.close()

    @contextmanager
    def _transaction(self, opening: Sequence[Statement]) -> Iterator[Session]:
        """Runs the block in a transaction. Raises _Repeatable, Unavailable, or an error of this code or its SQL."""
        is_writing = opening is _WRITE
        with self._errors_as_unavailable(writing=is_writing), self._pool.connection() as connection:
            session = Session(connection, opening)
            try:
                yield session
                session.commit()
            except _OutcomeUnknown:
                connection.close()
                raise
            except psycopg.Error as error:
                if kind_of(error) in (Kind.MISTAKE, Kind.CONFLICT, Kind.FULL):
                    session.roll_back()
                else:
                    connection.close()
                raise
            except BaseException:
                session.roll_back()
                raise
        outages.log_end(
            self.name, f"{self.name}: can be {'written' if is_writing else 'read'} again", writing=is_writing
        )

    @contextmanager
    def _errors_as_unavailable(self, *, writing: bool) -> Iterator[None]:
        try:
            yield
        except Exhausted as error:
            raise Unavailable(retry_after_s=1) from error
        except Away as error:
            raise Unavailable(_AWAY, retry_after_s=1) from error
        except (NotDurable, _OutcomeUnknown) as error:
            raise self._outage(str(error), _AWAY, writing) from error
        except psycopg.Error as error:
            kind = kind_of(error)
            if kind in (Kind.CONFLICT, Kind.STALE):
                raise _Repeatable from error
            if kind is Kind.MISTAKE:
                raise
            raise self._outage(explain(error), explain_to_shopper(error), writing) from error

    def _outage(self, why: str, message: str, writing: bool) -> Unavailable:
        why = f"{self.name}: {why}"
        outages.log_start(self.name, why, writing=writing)
        unavailable = Unavailable(message, retry_after_s=1)
        unavailable.add_note(why)  # for the log only: it has the address
        return unavailable


_AWAY = "the store cannot reach its data, try again"
