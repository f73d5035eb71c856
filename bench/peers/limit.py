"""The limit (bench/limit.py): what gunicorn and Werkzeug can do here at most. It sells nothing."""

from pathlib import Path
from typing import Any

from bench.load import Request
from bench.peers.server import Served, gunicorn


class Limit(Served):
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
        return str(reply["data"]["name"])  # the same constant: there is no order

    def check(self) -> None:
        """It promises nothing."""


def limit_under_store_worker() -> Limit:
    """The same app under the store's own worker: the rest that is left to gain."""
    return Limit("limit-store-worker", "with the store's worker, 2 pinned", "-k", "server.worker.StoreWorker")


def other_limit(workers: int, threads: int) -> Limit:
    """The limit with other settings, to see which are the best: that is the limit."""
    how = f"gthread, {workers} pinned workers x {threads} threads"
    return Limit(f"limit-{workers}x{threads}", how, "--workers", str(workers), "--threads", str(threads))
