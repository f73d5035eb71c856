"""Transactions of somebody else on PostgreSQL, and threads that wait for their locks."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from db.postgres.parameters import to_psycopg
from db.postgres.session import Statement
from tests.support.waiting import wait_until

WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@contextmanager
def others(address: str, schema: str, *statements: Statement, commits: bool = True) -> Iterator[None]:
    """Runs statements in a transaction of somebody else, which ends after the block, however long that takes."""
    with psycopg.connect(address, options=f"-c search_path={schema}") as connection:
        for sql, values in statements:
            connection.execute(to_psycopg(sql), values)
        yield
        if not commits:
            connection.rollback()


def start(
    work: Callable[[], object], shell: "psycopg.Connection[tuple[Any, ...]]"
) -> tuple[threading.Thread, list[object]]:
    """Runs `work` in a thread until it waits for a lock. Returns the thread, and the list that gets the result."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    wait_until("the work waits for a lock", lambda: bool(shell.execute(WAITING).fetchall()))
    return thread, results
