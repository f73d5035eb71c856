"""The limit (bench/limit.py): what gunicorn and Werkzeug can do here at most. It sells nothing."""

from pathlib import Path
from typing import Any

from bench.load import Request
from bench.peers.server import Served, gunicorn


class Limit(Served):
    name = "limit"
    about = "a bare Werkzeug app that answers a constant, gunicorn gthread, 2 pinned workers x 16 threads"
    durability = "no state"
    database: Path | None = None

    def start(self, folder: Path) -> None:
        self.serve(gunicorn("bench/limit.py", None, folder / "limit.log", {}))

    def query(self, product: int) -> Request:
        return Request("GET", f"/products/p{product}")

    def buy(self, product: int) -> Request:
        return Request("POST", f"/p{product}/1")

    def stock_in(self, reply: Any) -> int:
        return int(reply["data"]["quantity"])

    def order_in(self, reply: Any) -> str:
        return str(reply["data"]["name"])  # the same constant: there is no order

    def check(self) -> None:
        """It promises nothing."""
