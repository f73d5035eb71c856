"""Starts and checks the peer with Flask and SQLAlchemy in three tiers; flask_three_apps.py has its apps."""

from pathlib import Path

from bench.peers.flask_database import Order, Product, create_tables
from bench.peers.server import ServerSystem, gunicorn
from bench.peers.store_like import StoreLike
from bench.peers.system import check_stock
from tests.support.books import query


class FlaskThree(ServerSystem, StoreLike):
    """The peer with three tiers."""

    name = "flask-3-tiers"
    about = "Flask and SQLAlchemy in three tiers with two databases, one HTTP call a hop, each tier as the one-tier app"
    durability = (
        "each buy synced to disk in both databases (WAL, synchronous=FULL); a crash between them loses an order"
    )

    def __init__(self) -> None:
        super().__init__()
        self._folder: Path | None = None

    def start(self, folder: Path) -> None:
        self._folder = folder
        create_tables(folder / "catalog.db", Product)
        create_tables(folder / "order.db", Order)
        catalog = self._start("catalog", DATABASE=str(folder / "catalog.db"))
        order = self._start("order", DATABASE=str(folder / "order.db"), CATALOG=catalog)
        self._start("front_end", CATALOG=catalog, ORDER=order)

    @property
    def database(self) -> Path | None:
        return self._folder and self._folder / "order.db"

    def check(self) -> None:
        assert self._folder is not None
        stock = query(self._folder / "catalog.db", "SELECT name, quantity FROM products")
        ordered = query(self._folder / "order.db", "SELECT product, sum(quantity) FROM orders GROUP BY product")
        check_stock(dict(stock), dict(ordered))

    def _start(self, tier: str, **environment: str) -> str:
        """Starts a tier, and returns its URL."""
        assert self._folder is not None
        app = f"bench.peers.flask_three_apps:create_{tier}()"
        log = self._folder / f"{tier}.log"
        return self.serve(gunicorn("bench/peers/flask_gunicorn.py", log, environment, app))
