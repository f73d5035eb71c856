"""The store with one HTTP call a hop and a commit of its own for each step of each buy: what joining calls brings."""

import sys
from pathlib import Path

from bench import seed
from bench.peers.server import Server
from bench.peers.store import products_file
from bench.peers.store_like import StoreLike
from tests.tiers import Tiers


class StoreUnjoined(StoreLike):
    name = "store-unjoined"
    about = "this store, each call by itself"
    durability = "as the store"

    def __init__(self) -> None:
        self._tiers: list[Tiers] = []
        self._servers: list[Server] = []

    def start(self, folder: Path) -> None:
        tiers = Tiers(folder / "data", PRODUCTS=str(products_file(folder)))
        self._tiers.append(tiers)
        tiers.start("catalog")
        for name in ("order", "front_end"):
            command = [sys.executable, "-m", "gunicorn", "-c", f"bench/peers/unjoined_{name}.py"]
            self._servers.append(Server(command, port=tiers.ports[name], log=tiers.log, environment=tiers.environment))
        for server in self._servers:
            server.wait_until_it_answers()

    @property
    def url(self) -> str:
        return self._tiers[0].url("front_end")

    @property
    def pids(self) -> list[int]:
        return self._tiers[0].workers("catalog") + [server.pid for server in self._servers]

    @property
    def database(self) -> Path | None:
        return self._tiers[0].data_dir / "order.db"

    def check(self) -> None:
        seed.check(self._tiers[0].data_dir)

    def stop(self) -> None:
        for server in reversed(self._servers):
            server.stop()
        for tiers in self._tiers:
            tiers.stop()
