"""Opens connections to PostgreSQL, set up for the store, that wait no longer than they must for an answer."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import Diagnostic
from psycopg.generators import send
from psycopg.rows import dict_row
from psycopg.types.numeric import Int8Dumper
from psycopg.waiting import wait

from db.postgres.arrays import ArrayDumper
from db.postgres.parameters import to_psycopg

T = TypeVar("T")

# Longer than the lock_timeout below, and shorter than the patience of the tier in front.
WAIT_TIMEOUT_S = 5.0
# A waiting thread wakes this often, for only then does it run signal handlers.
_SIGNAL_INTERVAL_S = 0.1

# Used where the address says nothing else. A machine that went away is found in about 5 s.
_DEFAULTS: Mapping[str, str] = {
    "connect_timeout": "2",
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",  # milliseconds
    "application_name": "toystore",
}

# One statement sets up each new connection, whatever the role or the database say, and tells what the store must know.
# - jit: costs that the planner exaggerates make PostgreSQL compile a statement for longer than it runs.
# - plan_cache_mode: PostgreSQL would plan a statement anew for each short list of keys, for longer than it runs.
# - lock_timeout: well above the server's deadlock_timeout of 1 s; else it hides each deadlock as a slow lock.
# - idle_in_transaction_session_timeout: a client that died in the middle of a batch soon frees its rows.
# - client_connection_check_interval: a statement whose client has given up ends by itself.
# - statement_timeout: none, for it would cut short the wait for a standby at COMMIT.
_SET_UP = """
    SELECT set_config('search_path', :schema, false), set_config('jit', 'off', false),
        set_config('plan_cache_mode', 'force_generic_plan', false),
        set_config('lock_timeout', '3s', false), set_config('idle_in_transaction_session_timeout', '3s', false),
        set_config('client_connection_check_interval', '1s', false), set_config('statement_timeout', '0', false),
        set_config('timezone', 'UTC', false),
        current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('synchronous_standby_names') AS synchronous_standby_names"""

# psycopg warns of each connection that broke within a pipeline. The store logs the outage itself, once.
logging.getLogger("psycopg").setLevel(logging.ERROR)


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time. Whether it has done what it was asked is unknown."""


class _Pipeline(psycopg.Pipeline):
    """psycopg's pipeline, but all its statements are sent at its end, and nothing is sent after them.

    psycopg waits for the socket with each statement, which takes longer than the statement. After the end it sends a
    Flush message: the server takes it for the beginning of the client's next statement, no longer counts the
    transaction as idle, and idle_in_transaction_session_timeout would not end it.
    """

    def _communicate_gen(self) -> PQGen[None]:
        yield from ()

    def _exit_gen(self) -> PQGen[None]:
        self._enqueue_sync()
        while self.command_queue:
            self.command_queue.popleft()()
        yield from send(self.pgconn)
        yield from self._fetch_gen(flush=False)


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed when the server does not answer in time. Any thread may use it, one at a time."""

    wait_timeout_s = WAIT_TIMEOUT_S
    server: dict[str, str]  # the server's settings on which durability depends, as this connection last saw them
    warnings: list[str]  # the warnings of the server since this list was emptied
    has_failed = False  # whether the server is to blame for the end of this connection

    def wait(self, gen: PQGen[T], interval: float = _SIGNAL_INTERVAL_S, timeout: float | None = None) -> T:
        """Waits for an answer, at most `wait_timeout_s`, and then closes the connection and raises NoAnswer.

        Nothing is cancelled: the server would end a wait for its standby, and report success.
        """
        try:
            return wait(gen, self.pgconn.socket, interval, self.wait_timeout_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            raise NoAnswer(f"the server has not answered within {self.wait_timeout_s:g} s") from None
        except psycopg.Error:
            raise
        except BaseException:  # a signal has interrupted the wait: an answer may come that belongs to this statement
            self.pgconn.finish()
            raise

    @contextmanager
    def together(self) -> Iterator[None]:
        """Sends the statements of the block in one round trip. Their results can be read after it.

        Raises the error of the first statement that failed; the server runs none after it.
        """
        pipeline = self._pipeline = _Pipeline(self)
        try:
            with pipeline:
                yield
        finally:
            self._pipeline = None

    def fail(self) -> None:
        """Closes the connection, because the server gave no answer or none that can be trusted."""
        self.has_failed = True
        self.close()

    def note(self, notice: Diagnostic) -> None:
        """Notes a warning of the server."""
        if notice.severity_nonlocalized == "WARNING":
            self.warnings.append(f"{notice.message_primary}")


def connect(address: str, schema: str, wait_timeout_s: float = WAIT_TIMEOUT_S) -> Connection:
    """Returns a new connection, in autocommit mode, whose names are those of the schema. Raises psycopg.Error."""
    connection = Connection.connect(**_parameters(address), autocommit=True, prepare_threshold=0)
    try:
        connection.wait_timeout_s = wait_timeout_s
        connection.warnings = []
        connection.add_notice_handler(connection.note)
        # All integers are sent with the same width: else each width of a value would prepare its own statement.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.adapters.register_dumper(list, ArrayDumper)
        with connection.cursor(row_factory=dict_row) as cursor:
            connection.server = cursor.execute(to_psycopg(_SET_UP), {"schema": schema}, prepare=False).fetchall()[0]
    except BaseException:
        connection.close()
        raise
    return connection


def _parameters(address: str) -> dict[str, Any]:
    """Returns libpq's parameters. Of several hosts the one that takes writes is used, unless the address says else."""
    asked = conninfo_to_dict(address)
    hosts = str(asked.get("hostaddr") or asked.get("host") or "")
    several = {"target_session_attrs": "read-write"} if "," in hosts else {}
    return {**_DEFAULTS, **several, **asked, "client_encoding": "UTF8"}


def describe(address: str) -> str:
    """Returns hosts, ports and database of the address for the log: without the role and its password."""
    asked = conninfo_to_dict(address)
    hosts = str(asked.get("host") or asked.get("hostaddr") or "localhost").split(",")
    ports = str(asked.get("port") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = ",".join(f"{host}:{port or 5432}" for host, port in zip(hosts, ports, strict=False))
    return f"postgresql://{places}/{asked.get('dbname') or ''}"
