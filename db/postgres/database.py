"""One database of PostgreSQL that all threads of a process use: transactions, and the errors of the server."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg

from db import outages
from db.postgres.connection import WAIT_TIMEOUT_S, Connection, connect, describe
from db.postgres.durability import NotDurable, require_durable
from db.postgres.errors import AWAY, Kind, explain, explain_to_shopper, kind_of
from db.postgres.pool import Away, Exhausted, Pool
from db.postgres.session import OutcomeUnknown, Session, Statement
from db.postgres.standbys import SELECT_STANDBYS, Standbys
from domain.errors import Unavailable

T = TypeVar("T")

# The connections of one process to one database. The server's max_connections must hold those of all processes.
MAX_CONNECTIONS = 10
# How long a thread waits for one of them.
_POOL_TIMEOUT_S = 1.0
# A transaction that others were in the way of runs again, at most this often, after a growing pause.
_MAX_ATTEMPTS = 5
_PAUSE_S = 0.02

# A transaction that writes nothing does not wait for the standby at COMMIT. What it read may then be lost with the
# primary: it could tell the number of an order that is gone later. The message makes each transaction one that writes.
# It needs no privilege and no lock, and nobody reads it. The values of SETTINGS come along for the session.
_WRITE: Sequence[Statement] = (
    ("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", {}),
    (
        """
        SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
            current_setting('synchronous_standby_names')
        FROM pg_logical_emit_message(true, 'toystore', '')""",
        {},
    ),
)
_SNAPSHOT: Sequence[Statement] = (("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {}),)

# After these errors the server has kept the connection, in a transaction that must be rolled back.
_CONNECTED = (Kind.MISTAKE, Kind.CONFLICT, Kind.FULL)


class _Repeatable(Exception):
    """Nothing of the transaction is stored, and it may run again."""


class Database:
    """One schema of a database. Threads share this object, which opens connections when they are needed.

    A transaction that others may be in the way of, as each buy is, is a function for `run`. One that writes once, or
    that must not run twice, is a block of `write`. All methods raise Unavailable when the server gives no answer, or
    none that can be trusted: then the client asks again with the same key.
    """

    def __init__(
        self,
        address: str,
        schema: str,
        max_connections: int = MAX_CONNECTIONS,
        wait_timeout_s: float = WAIT_TIMEOUT_S,
    ) -> None:
        """Opens nothing. The server's answer to one call is awaited for at most `wait_timeout_s`."""
        self.address = address
        self.schema = schema
        self.name = f"{describe(address)} ({schema})"
        self._wait_timeout_s = wait_timeout_s
        self._pool = Pool(self._connect, max_connections, _POOL_TIMEOUT_S)
        self._standbys = Standbys(self.name)

    def run(self, work: Callable[[Session], T]) -> T:
        """Runs `work` in a transaction as `write` does, and again when another transaction was in the way.

        Nothing is stored of an attempt that failed, so `work` must change nothing but the database.
        """
        deadline = time.monotonic() + self._wait_timeout_s
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            with suppress(_Repeatable), self._transaction(_WRITE) as session:
                return work(session)
            if time.monotonic() > deadline:
                break
            time.sleep(random.uniform(0.5, 1.5) * _PAUSE_S * attempt)
        raise Unavailable(retry_after_s=1)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Runs the block in one READ COMMITTED transaction and commits at its end. An exception rolls it back."""
        with _once(), self._transaction(_WRITE) as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yields a session each of whose calls is a READ COMMITTED transaction of its own.

        What is read may be lost with the primary, so it must not tell the outcome of a buy: that is for `run`.
        """
        with _once(), self._transaction(()) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Runs the block in one REPEATABLE READ transaction that only reads: all its statements see the same moment.

        It should be short: while it lasts, the server keeps each old version of each changed row.
        """
        with _once(), self._transaction(_SNAPSHOT) as session:
            yield session

    def require_writable(self) -> None:
        """Commits a transaction that changes nothing, and looks at the standbys. Raises Unavailable as `write` does."""
        with self.write() as session:
            [rows] = session.commit_with((SELECT_STANDBYS, {}))
        self._standbys.note(rows)

    def close(self) -> None:
        """Closes the connections that nobody uses. The next use opens another one."""
        self._pool.close()

    def _connect(self) -> Connection:
        connection = connect(self.address, self.schema, self._wait_timeout_s)
        try:
            require_durable(connection.server, connection.info.server_version)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _transaction(self, opening: Sequence[Statement]) -> Iterator[Session]:
        """Runs the block in a transaction. Raises _Repeatable, Unavailable, or an error of this code or its SQL."""
        is_writing = opening is _WRITE
        with self._errors_as_unavailable(is_writing), self._pool.connection() as connection:
            session = Session(connection, opening)
            try:
                yield session
                session.commit()
            except OutcomeUnknown:
                connection.fail()
                raise
            except psycopg.Error as error:
                if (kind := kind_of(error)) in _CONNECTED:
                    session.roll_back()
                elif kind is Kind.STALE:
                    connection.close()
                else:
                    connection.fail()
                raise
            except BaseException:
                session.roll_back()
                raise
        can = "written" if is_writing else "read"
        outages.log_end(self.name, f"{self.name}: can be {can} again", writing=is_writing)

    @contextmanager
    def _errors_as_unavailable(self, is_writing: bool) -> Iterator[None]:
        try:
            yield
        except Exhausted as error:
            raise Unavailable(retry_after_s=1) from error
        except Away as error:
            raise Unavailable(AWAY, retry_after_s=1) from error
        except (NotDurable, OutcomeUnknown) as error:
            raise self._outage(str(error), Unavailable(AWAY, retry_after_s=1), is_writing) from error
        except psycopg.Error as error:
            kind = kind_of(error)
            if kind in (Kind.CONFLICT, Kind.STALE):
                raise _Repeatable from error
            if kind is Kind.MISTAKE:
                raise
            # A damaged page fails only the transactions that read it, and no retry helps them.
            retry_after_s = None if kind is Kind.DAMAGE else 1
            unavailable = Unavailable(explain_to_shopper(error), retry_after_s)
            raise self._outage(explain(error), unavailable, is_writing) from error

    def _outage(self, why: str, unavailable: Unavailable, is_writing: bool) -> Unavailable:
        """Logs the outage. Returns `unavailable` with a note for the log, since its message is for shoppers."""
        line = f"{self.name}: {why}"
        outages.log_start(self.name, line, writing=is_writing)
        unavailable.add_note(line)
        return unavailable


@contextmanager
def _once() -> Iterator[None]:
    """Raises Unavailable for a transaction that could run again, but is a block, which cannot."""
    try:
        yield
    except _Repeatable as error:
        raise Unavailable(retry_after_s=1) from error
