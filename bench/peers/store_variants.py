"""The store with a part of it exchanged: what that part brings."""

import sys
from collections.abc import Mapping
from pathlib import Path

from bench.peers.server import Server
from bench.peers.store import Store


class StoreVariant(Store):
    """The store with other apps in the front end and the order tier."""

    durability = "as the store"

    def __init__(self, name: str, about: str, apps: Mapping[str, str]) -> None:
        super().__init__()
        self.name = name
        self.about = about
        self._apps = apps
        self._servers: list[Server] = []

    def start(self, folder: Path) -> None:
        tiers = self._prepare(folder)
        tiers.start("catalog")
        for tier, app in self._apps.items():
            # gunicorn takes an app on its command line before the one in the settings.
            command = [sys.executable, "-m", "gunicorn", "-c", f"conf/{tier}.py", app]
            self._servers.append(Server(command, port=tiers.ports[tier], log=tiers.log, environment=tiers.environment))
        for server in self._servers:
            server.wait_until_it_answers()

    @property
    def pids(self) -> list[int]:
        return self._tiers[0].workers("catalog") + [server.pid for server in self._servers]

    def stop(self) -> None:
        for server in reversed(self._servers):
            server.stop()
        super().stop()


def unjoined() -> StoreVariant:
    return StoreVariant(
        "store-unjoined",
        "this store, each call by itself",
        {"order": "bench.peers.apart:create_order()", "front_end": "bench.peers.apart:create_front_end()"},
    )


def over_requests() -> StoreVariant:
    return _over("requests")


def over_urllib3() -> StoreVariant:
    return _over("urllib3")


def _over(library: str) -> StoreVariant:
    return StoreVariant(
        f"store-{library}",
        f"this store, its tiers call each other with {library}",
        {
            "order": f"bench.peers.transports:order_over_{library}()",
            "front_end": f"bench.peers.transports:front_end_over_{library}()",
        },
    )
