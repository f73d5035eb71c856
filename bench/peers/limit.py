"""Starts bench/limit.py, the fastest app that gunicorn and Werkzeug can serve here. It sells nothing."""

from pathlib import Path
from typing import Any

from bench.load import Request
from bench.peers.server import ServerSystem, gunicorn


class Limit(ServerSystem):
    """The app of bench/limit.py under gthread, or with other `options` of gunicorn, which `setup` describes."""

    durability = "no state"
    database: Path | None = None

    def __init__(
        self, name: str = "limit", setup: str = "gthread, 2 pinned workers x 16 threads", *options: str
    ) -> None:
        super().__init__()
        self.name = name
        self.about = f"a bare Werkzeug app that answers a constant, gunicorn {setup}"
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
        return str(reply["data"]["name"])  # the constant has no order number, so any text must do

    def check(self) -> None:
        """Checks nothing: the limit makes no promise."""


def limit_under_store_worker() -> Limit:
    """Returns the app under the store's own worker. Its rate is an upper bound for that of the store."""
    return Limit("limit-store-worker", "with the store's worker, 2 pinned", "-k", "server.worker.StoreWorker")


def other_limit(workers: int, threads: int) -> Limit:
    """Returns the app with other numbers of workers and threads, to show that those of the limit are the fastest."""
    setup = f"gthread, {workers} pinned workers x {threads} threads"
    return Limit(f"limit-{workers}x{threads}", setup, "--workers", str(workers), "--threads", str(threads))
