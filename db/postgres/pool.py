"""The connections of a process to one database: at most a budget of them, opened when they are needed.

psycopg_pool is not used, well kept as it is. It has threads of its own in each process; a call waits for its whole
timeout while the server is away, where this one fails at once; and a lost connection says nothing about the others.
"""

import os
import random
import select
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from db.postgres.connection import Connection

# While the server is away, one call in this time tries it again. All others fail at once.
MAX_PAUSE_S = 0.5
_FIRST_PAUSE_S = 0.05


class Exhausted(Exception):
    """All connections were in use for too long."""


class Away(Exception):
    """The server failed a moment ago, and another call is finding out whether it is back."""


class Pool:
    """Connections for threads, one at a time for each. Opens nothing until the first use, which may be after a fork.

    After two failures in a row one thread at a time is let through, and after a success all are: a dead server gets no
    storm of new connections, and a frozen one keeps one thread waiting and not all.
    """

    def __init__(self, connect: Callable[[], Connection], max_connections: int, timeout_s: float) -> None:
        """A thread waits at most `timeout_s` for a free connection."""
        self._connect = connect
        self._max_connections = max_connections
        self._timeout_s = timeout_s
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._free = threading.BoundedSemaphore(self._max_connections)
        self._mutex = threading.Lock()
        self._idle: list[Connection] = []  # the one that was used last is used first: it is the least likely to be dead
        # A pool that nobody uses any more leaves no connection open at the server.
        self._closer = weakref.finalize(self, _close_all, self._idle)
        self._closer.atexit = False
        self._failures = 0  # since the last success
        self._is_probing = False
        self._retry_at = 0.0  # monotonic clock

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yields a connection, and keeps it for the next thread unless it was closed meanwhile.

        One that has failed counts as a failure. Raises Exhausted, Away, or what `connect` raises.
        """
        if self._pid != os.getpid():
            self._closer.detach()  # the parent process goes on with its connections
            self._reset()
        if not self._free.acquire(timeout=self._timeout_s):
            raise Exhausted
        try:
            self._admit()
            has_failed = True
            try:
                connection = self._usable() or self._connect()
                try:
                    yield connection
                finally:
                    has_failed = connection.has_failed
                    self._keep(connection)
            finally:
                self._note(has_failed)
        finally:
            self._free.release()

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        with self._mutex:
            idle = self._idle.copy()
            self._idle.clear()
        _close_all(idle)

    def _admit(self) -> None:
        with self._mutex:
            if self._failures > 1:
                if self._is_probing or time.monotonic() < self._retry_at:
                    raise Away
                self._is_probing = True

    def _note(self, has_failed: bool) -> None:
        """Notes whether the server has failed. If so, the idle connections are hardly better."""
        with self._mutex:
            self._is_probing = False
            self._failures = self._failures + 1 if has_failed else 0
            pause_s = min(MAX_PAUSE_S, _FIRST_PAUSE_S * self._failures)
            self._retry_at = time.monotonic() + random.uniform(0.5, 1.0) * pause_s
        if has_failed:
            self.close()

    def _keep(self, connection: Connection) -> None:
        if connection.closed:
            return
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.close()
            return
        with self._mutex:
            self._idle.append(connection)

    def _usable(self) -> Connection | None:
        """Returns an idle connection that the server has not closed; None when there is none."""
        while True:
            with self._mutex:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not _has_news(connection):
                return connection
            connection.close()


def _has_news(connection: Connection) -> bool:
    """Whether the server has sent something unasked, which mostly is its goodbye."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _close_all(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()
