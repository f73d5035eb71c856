"""The store with one HTTP call a hop and a commit of its own for each step of each buy: what joining calls brings."""

import sys
from pathlib import Path

from bench.peers.server import Server
from bench.peers.store import Store

# gunicorn takes an app on its command line before the one in the settings.
APPS = {"order": "bench.peers.apart:create_order()", "front_end": "bench.peers.apart:create_front_end()"}


class StoreUnjoined(Store):
    name = "store-unjoined"
    about = "this store, each call by itself"
    durability = "as the store"

    def __init__(self) -> None:
        super().__init__()
        self._servers: list[Server] = []

    def start(self, folder: Path) -> None:
        tiers = self._prepare(folder)
        tiers.start("catalog")
        for name, app in APPS.items():
            command = [sys.executable, "-m", "gunicorn", "-c", f"conf/{name}.py", app]
            self._servers.append(Server(command, port=tiers.ports[name], log=tiers.log, environment=tiers.environment))
        for server in self._servers:
            server.wait_until_it_answers()

    @property
    def pids(self) -> list[int]:
        return self._tiers[0].workers("catalog") + [server.pid for server in self._servers]

    def stop(self) -> None:
        for server in reversed(self._servers):
            server.stop()
        super().stop()
