"""Starts the limit (bench/limit.py), the most that gunicorn and Werkzeug can serve here. It sells nothing."""

from pathlib import Path
from typing import Any

from bench.load import Request
from bench.peers.server import Served, gunicorn


class Limit(Served):
    """The limit, under gthread or with other options of gunicorn."""

    durability = "no state"
    database: Path | None = None

    def __init__(self, name: str = "limit", how: str = "gthread, 2 pinned workers x 16 threads", *options: str) -> None:
        super().__init__()
        self.name = name
        self.about = f"a bare Werkzeug app that answers a constant, gunicorn {how}"
        self._options = options

    def start(self, folder: Path) -> None:
        self.serve(gunicorn("bench/limit.py", folder / "limit.log", {}, *self._options))

    def query(self, product: int) -> Request:
        return Request("GET", f"/products/p{product}")

    def buy(self, product: int) -> Request:
        return Request("POST", f"/p{product}/1")

    def stock_in(self, reply: Any) -> int:
        return int(reply["data"]["quantity"])

    def order_in(self, reply: Any) -> str:
        return str(reply["data"]["name"])  # the response is constant and has no order

    def check(self) -> None:
        """Checks nothing: the limit makes no promise."""


def limit_under_store_worker() -> Limit:
    """Returns the same app under the store's own worker: the rate that the store could reach at most."""
    return Limit("limit-store-worker", "with the store's worker, 2 pinned", "-k", "server.worker.StoreWorker")


def other_limit(workers: int, threads: int) -> Limit:
    """Returns the app with other settings, to find the fastest, which are those of the limit."""
    how = f"gthread, {workers} pinned workers x {threads} threads"
    return Limit(f"limit-{workers}x{threads}", how, "--workers", str(workers), "--threads", str(threads))
