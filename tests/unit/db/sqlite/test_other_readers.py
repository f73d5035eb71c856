"""Other programs, such as DuckDB, can read every table and view of the two databases."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from domain.checkout import Checkout
from domain.errors import OutOfStock
from domain.values import Buy
from tests.support.books import query

# Runs in a process of its own: DuckDB's extension has its own SQLite, and two libraries must not open one file in one
# process. The package contains the signed extension, which DuckDB would otherwise download.
DUCKDB = """
import json, pathlib, sys
import duckdb, duckdb_extension_sqlite_scanner as package
[extension] = pathlib.Path(package.__file__).parent.rglob("*.duckdb_extension")
shell = duckdb.connect()
shell.execute(f"LOAD '{extension}'")
for name in ("catalog", "order"):
    shell.execute(f"ATTACH '{sys.argv[1]}/{name}.db' AS {name}_db (TYPE sqlite, READ_ONLY)")
json.dump([shell.execute(sql).fetchall() for sql in sys.argv[2:]], sys.stdout, default=float)
"""


@pytest.fixture
def store(checkout: Checkout, catalog: CatalogStore, orders: OrderStore, tmp_path: Path) -> Path:
    """An open store with an order, a refused buy, a writeoff and a low stock."""
    checkout.place(Buy("a", "Tux", 2))
    with pytest.raises(OutOfStock):
        checkout.place(Buy("no", "Tux", 1_000))
    owner = ProductAdmin(tmp_path / "catalog.db")
    owner.writeoff("Bird", 95, "a cat", "w")
    owner.close()
    return tmp_path


def query_duckdb(store: Path, *queries: str) -> list[list[Any]]:
    """Runs each query in DuckDB, with both databases attached, and returns the rows of each."""
    command = [sys.executable, "-c", DUCKDB, str(store), *queries]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows: list[list[Any]] = json.loads(done.stdout)
    return rows


def test_duckdb_lists_and_reads_every_table_and_view(store: Path) -> None:
    names = [
        (file, name)
        for file in ("catalog", "order")
        for (name,) in query(store / f"{file}.db", "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
        if not name.startswith("sqlite_")
    ]
    listed, _, *read = query_duckdb(
        store,
        "SELECT table_catalog, table_name FROM information_schema.tables",
        "SHOW ALL TABLES",  # must not fail
        *(f"SELECT * FROM {file}_db.{name} ORDER BY ALL" for file, name in names),
    )
    assert [entry for entry in ([f"{file}_db", name] for file, name in names) if entry not in listed] == []
    for (file, name), rows in zip(names, read, strict=True):
        assert sorted(rows, key=repr) == sorted(
            map(list, query(store / f"{file}.db", f"SELECT * FROM {name}")), key=repr
        )


def test_duckdb_gives_the_same_rows_as_sqlite(store: Path) -> None:
    log, low, for_sale, prices = query_duckdb(
        store,
        "SELECT * FROM order_db.order_log",
        "SELECT * FROM catalog_db.low_stock",
        "SELECT * FROM catalog_db.for_sale",
        "SELECT product, price FROM catalog_db.price_history WHERE product = 'Tux'",
    )
    assert log == [list(row) for row in query(store / "order.db", "SELECT * FROM order_log")]
    assert low == [["Bird", 3, 39.99]]
    assert for_sale == [list(row) for row in query(store / "catalog.db", "SELECT * FROM for_sale")]
    assert prices == [["Tux", 25.99]]


@pytest.mark.parametrize("name", ["catalog.db", "order.db"])
def test_no_table_has_a_column_that_is_hidden_or_generated(store: Path, name: str) -> None:
    shell = apsw.Connection(str(store / name))
    tables = [
        str(table) for (table,) in shell.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    ]
    columns = [
        (table, *column) for table in tables for column in shell.execute(f"PRAGMA table_xinfo({table})").fetchall()
    ]
    shell.close()
    assert len(columns) > 15
    assert [column for column in columns if column[-1] != 0] == []


def test_the_order_log_has_the_columns_that_the_readme_shows(store: Path) -> None:
    [first] = query(store / "order.db", "SELECT * FROM order_log WHERE order_number = 0")
    assert (first[:4], first[5:]) == ((0, "Tux", 2, "a"), (25.99, None))
