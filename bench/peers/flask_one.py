"""Starts and checks the peer with Flask and SQLAlchemy in one tier; flask_one_app.py is its app."""

from pathlib import Path

from bench.peers.flask_database import Order, Product, create_tables
from bench.peers.server import ServerSystem, gunicorn
from bench.peers.store_like import StoreLike
from bench.peers.system import check_stock
from tests.support.books import query


class FlaskOne(ServerSystem, StoreLike):
    """The peer with one tier."""

    name = "flask-1-tier"
    about = "Flask and SQLAlchemy in one tier with one database, gunicorn gthread, 2 pinned workers x 16 threads"
    durability = "each buy synced to disk (WAL, synchronous=FULL); no key, so no exactly-once"

    def __init__(self) -> None:
        super().__init__()
        self._database: Path | None = None

    def start(self, folder: Path) -> None:
        self._database = folder / "store.db"
        create_tables(self._database, Product, Order)
        app, environment = "bench.peers.flask_one_app:create_app()", {"DATABASE": str(self._database)}
        self.serve(gunicorn("bench/peers/flask_gunicorn.py", folder / "flask.log", environment, app))

    @property
    def database(self) -> Path | None:
        return self._database

    def check(self) -> None:
        assert self._database is not None
        stock = query(self._database, "SELECT name, quantity FROM products")
        ordered = query(self._database, "SELECT product, sum(quantity) FROM orders GROUP BY product")
        check_stock(dict(stock), dict(ordered))
