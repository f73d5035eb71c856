"""Variants of the store with one part replaced. The difference to the store shows the effect of that part."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.peers.server import Server
from bench.peers.store import Store
from tests.support.tiers import NAMES


class StoreVariant(Store):
    """The store with further options of gunicorn, such as another app, for some of its tiers."""

    durability = "as the store"

    def __init__(self, name: str, about: str, options: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.name = name
        self.about = about
        self._options = options
        self._servers: list[Server] = []

    def start(self, folder: Path) -> None:
        tiers = self._prepare(folder)
        tiers.start(*(tier for tier in NAMES if tier not in self._options))
        for tier, options in self._options.items():
            # The last -c counts, and an app on the command line before the one in the settings.
            command = [sys.executable, "-m", "gunicorn", "-c", f"conf/{tier}.py", *options]
            self._servers.append(Server(command, port=tiers.ports[tier], log=tiers.log, environment=tiers.environment))
        for server in self._servers:
            server.wait_until_it_answers()

    @property
    def pids(self) -> list[int]:
        unchanged = [tier for tier in NAMES if tier not in self._options]
        return [pid for tier in unchanged for pid in self._tiers[0].workers(tier)] + [one.pid for one in self._servers]

    def stop(self) -> None:
        for server in reversed(self._servers):
            server.stop()
        super().stop()


def unbatched() -> StoreVariant:
    """Returns the store with a call for each query and each buy."""
    return StoreVariant(
        "store-unbatched",
        "this store, each call by itself",
        {tier: [f"bench.peers.unbatched:create_{tier}()"] for tier in ("order", "front_end")},
    )


def under_gevent() -> StoreVariant:
    """Returns the store with a front end under gunicorn's gevent worker."""
    return StoreVariant(
        "store-gevent",
        "this store, its front end under gunicorn's gevent worker",
        {"front_end": ["-k", "gevent"]},
    )


def over(library: str) -> StoreVariant:
    """Returns the store with calls between the tiers by another HTTP client."""
    return StoreVariant(
        f"store-{library}",
        f"this store, its tiers call each other with {library}",
        {tier: [f"bench.peers.transports:create_{tier}('{library}')"] for tier in ("order", "front_end")},
    )
