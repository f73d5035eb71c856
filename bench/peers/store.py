"""Starts and checks the store with its three tiers."""

from pathlib import Path

from bench import seed
from bench.peers.store_like import StoreLike
from bench.peers.system import PRICE, all_products, first_stock, product_name
from tests.support.tiers import NAMES, Tiers, products_file


class Store(StoreLike):
    """The store as a system under load."""

    name = "store"
    about = "this store: three tiers, calls between them are batched"
    durability = "each buy synced to disk in both databases (WAL, synchronous=FULL), exactly once by its key"

    def __init__(self) -> None:
        self._tiers: list[Tiers] = []  # at most one, none before the start

    def start(self, folder: Path) -> None:
        self._prepare(folder).start()

    def _prepare(self, folder: Path) -> Tiers:
        """Returns the tiers, not yet started, with the products that all systems sell."""
        lines = [f"{product_name(number)} {PRICE} {first_stock(number)}" for number in all_products()]
        self._tiers.append(Tiers(folder / "data", PRODUCTS=products_file(folder, *lines)))
        return self._tiers[0]

    @property
    def url(self) -> str:
        return self._tiers[0].url("front_end")

    @property
    def pids(self) -> list[int]:
        return [worker for name in NAMES for worker in self._tiers[0].workers(name)]

    @property
    def database(self) -> Path | None:
        return self._tiers[0].data_dir / "order.db"

    def check(self) -> None:
        seed.check(self._tiers[0].data_dir)

    def stop(self) -> None:
        for tiers in self._tiers:
            tiers.stop()
