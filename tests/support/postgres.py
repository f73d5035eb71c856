"""A PostgreSQL server for tests: each test gets a fresh database of it."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from conf.embedded_postgres import EmbeddedPostgres
from tests.support.waiting import wait_until

# A folder in memory, where a commit takes a tenth of the time. The server syncs there as everywhere.
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2 * 1024**3


class TestServer:
    """A server that ends with the tests, with all its data. Its databases are copies of templates, 50 ms each."""

    __test__ = False  # for pytest

    def __init__(self, **settings: str) -> None:
        """Starts the server. `settings` are added to those of postgresql.conf."""
        has_room = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
        folder = Path(tempfile.mkdtemp(prefix="toystore-postgres-", dir=_MEMORY if has_room else None))
        self.embedded = EmbeddedPostgres(
            folder, settings={"max_connections": "60", "shared_buffers": "32MB", **settings}, is_temporary=True
        )
        self._numbers = itertools.count()
        self._templates: dict[Callable[[str], None], str] = {}
        self.embedded.start()

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Runs a statement as the superuser. Returns its rows."""
        with psycopg.connect(self.embedded.address(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self, fill: Callable[[str], None] | None = None) -> Iterator[str]:
        """Yields the address of a fresh database, and drops it at the end.

        `fill` is called with an address to put schemas and rows into it: once for all databases of this function, which
        are copies of the first.
        """
        name = self._create("template1" if fill is None else self._template(fill))
        try:
            yield self.embedded.address(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def settings(self, **settings: str) -> Iterator[None]:
        """Changes settings of the running server for the block."""
        for name, value in settings.items():
            self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        try:
            self._reload()
            for name, value in settings.items():
                wait_until(name, lambda name=name, value=value: self._setting(name) == value)  # type: ignore[misc]
            yield
        finally:
            for name in settings:
                self.execute(f"ALTER SYSTEM RESET {name}")
            self._reload()
            for name, value in settings.items():
                wait_until(name, lambda name=name, value=value: self._setting(name) != value)  # type: ignore[misc]

    def _reload(self) -> None:
        self.execute("SELECT pg_reload_conf()")

    def _setting(self, name: str) -> object:
        return self.execute(f"SELECT current_setting('{name}')")[0][0]

    def stop(self) -> None:
        """Ends the server and removes its data."""
        self.embedded.stop()

    def _template(self, fill: Callable[[str], None]) -> str:
        if fill not in self._templates:
            name = self._create("template1")
            fill(self.embedded.address(name))
            self._templates[fill] = name
        return self._templates[fill]

    def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name
