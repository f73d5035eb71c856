"""The owner's changes to the catalog's file, see db/product_changes.py."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from db.product_changes import ProductChanges
from db.sqlite.connection import fetch_all
from db.sqlite.database import Database
from db.statements import FetchAll


class ProductAdmin(ProductChanges):
    """Changes the catalog's file for the owner. Any thread may call it."""

    def __init__(self, path: Path, require: Callable[[], object] = lambda: None) -> None:
        """Calls `require` before the first use, see Database."""
        self._database = Database(path, require)

    def _transact(
        self, work: Callable[[FetchAll], bool], *, product: str, key: str, adds_products: bool = False
    ) -> bool:
        """Runs `work` under the file's one write lock, which keeps everybody else from changing anything."""
        with self._database.write(adds_products=adds_products) as transaction:
            return work(partial(fetch_all, transaction))

    def _fetch_all(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        with self._database.read() as connection:
            return fetch_all(connection, sql, values)

    def close(self) -> None:
        """Closes this thread's connection."""
        self._database.close()
