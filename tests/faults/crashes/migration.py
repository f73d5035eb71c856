"""Migrates the database FILE, and kills itself before statement NUMBER. The arguments are TIER FILE NUMBER."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import apsw

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore

STORES: dict[str, type[CatalogStore] | type[OrderStore]] = {"catalog": CatalogStore, "order": OrderStore}


def main(tier: str, file: str, number: str) -> None:
    """Migrates the file. Returns only when the migration has no more than `number` statements."""
    left = int(number)

    def count_statement(_cursor: apsw.Cursor, _sql: str, _values: Any) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    apsw.connection_hooks.append(lambda connection: setattr(connection, "exec_trace", count_statement))
    STORES[tier](Path(file)).migrate()


if __name__ == "__main__":
    main(*sys.argv[1:])
