"""Makes databases of earlier schema versions, with rows as a release of that version wrote them."""

import shutil
import tempfile
from pathlib import Path

import apsw

from db.sqlite.migrate import migrate
from db.sqlite.snapshots import File


def older(folder: Path, file: File, version: int, sql: str = "") -> Path:
    """Creates the database `file` in the folder at schema `version`, runs `sql` on it, and returns its path."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scripts:
        for script in file.scripts()[:version]:
            shutil.copy(script, scripts)
        migrate(folder / file.name, Path(scripts), file.application_id)
    with apsw.Connection(str(folder / file.name)) as connection:
        connection.execute(sql).fetchall()
    return folder / file.name


# A catalog that sold one piece of its only product, and the order log with that order.
SOLD_ONE = """
    INSERT INTO products (name, price_cents, quantity) VALUES ('Tux', 2599, 9);
    INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents)
        VALUES ('Tux', 9, 9, 'initial', NULL, 2599);
    UPDATE products SET quantity = 8;
    INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents)
        VALUES ('Tux', -1, 8, 'sold', 'k0', 2599);"""
ORDERED_ONE = "INSERT INTO orders (number, key, product, quantity, price_cents) VALUES (0, 'k0', 'Tux', 1, 2599);"
