"""The store on one PostgreSQL, beside the store on SQLite: `make bench-postgres`."""

from pathlib import Path
from typing import Any

import psycopg

from bench.peers.store import Store
from conf.embedded_postgres import EmbeddedPostgres
from tests.support.books import Books


class PostgresStore(Store):
    """The store with both schemas in one PostgreSQL, on the same cores and the same disk."""

    name = "store-postgres"
    about = "this store on one PostgreSQL, two processes a tier"
    durability = "each buy synced to disk in both schemas (fsync, synchronous_commit=on), exactly once by its key"

    def __init__(self) -> None:
        super().__init__()
        self._servers: list[EmbeddedPostgres] = []  # at most one, none before the start

    def start(self, folder: Path) -> None:
        folder.parent.chmod(0o711)  # where root runs the bench, PostgreSQL has a user of its own
        server = EmbeddedPostgres(folder / "postgres", settings={"shared_buffers": "256MB"})
        self._servers.append(server)
        server.start()
        tiers = self._prepare(folder)
        tiers.environment |= {"CATALOG_DATABASE": server.address(), "ORDER_DATABASE": server.address()}
        tiers.start()

    @property
    def pids(self) -> list[int]:
        return [*super().pids, self.postmaster_pid]

    @property
    def postmaster_pid(self) -> int:
        """The first process of PostgreSQL."""
        return self._servers[0].postmaster_pid()

    @property
    def address(self) -> str:
        """The address of its database."""
        return self._servers[0].address()

    def master(self, tier: str) -> int:
        """Returns the master process of a tier."""
        return self._tiers[0].master(tier)

    @property
    def database(self) -> Path | None:
        return None

    def check(self) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:

            def rows(schema: str, sql: str) -> list[Any]:
                connection.execute(f"SET search_path TO {schema}".encode())
                return connection.execute(sql.encode()).fetchall()

            Books.read_by(lambda sql: rows("catalog", sql), lambda sql: rows("log", sql)).check()

    def stop(self) -> None:
        super().stop()
        for server in self._servers:
            server.stop()
