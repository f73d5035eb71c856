"""The drill: backups of a store that is selling, each restored into a fresh folder and audited."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from admin.program import main
from db.catalog import CatalogStore
from db.order import OrderStore
from domain.checkout import Checkout
from tests.support.books import Books
from tests.support.shoppers import Shoppers, session
from tests.support.tiers import ROOT, Tiers, products_file, running

BACKUPS = 20
CLIENTS = 12
# For one restore with its audits. A store of a few thousand orders takes a second; a busy machine takes longer.
RESTORED_WITHIN_S = 60.0

Command = Callable[..., int]


@dataclass(frozen=True)
class Taken:
    """A backup, and the keys that had their answer before it began."""

    folder: Path
    answered: frozenset[str]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the program of the books on the store in a folder; its exit code."""

    def run(data_dir: Path, *arguments: str) -> int:
        monkeypatch.setenv("DATA_DIR", str(data_dir))
        return main(list(arguments))

    return run


def test_20_backups_of_a_store_that_is_selling_are_whole(tmp_path: Path, command: Command) -> None:
    products = products_file(tmp_path, "Ticket 50 1000000", "Tux 25.99 1000000", "Rare 9 50")
    with running(tmp_path / "data", PRODUCTS=products) as tiers:
        shoppers = Shoppers(tiers.url("front_end"))
        with shopping(shoppers):
            taken = [take(tiers, shoppers, tmp_path / f"backup-{number}") for number in range(BACKUPS)]
            assert command(tiers.data_dir, "audit") == 0, "nor does an audit mistake a buy under way"
        live = Books.read(tiers.data_dir)
    shoppers.history.check(live)
    assert shoppers.statuses == {200, 404}
    in_doubt = 0
    for backup in taken:
        restored = backup.folder.with_name(f"{backup.folder.name}-restored")
        begun = time.monotonic()
        assert command(restored, "restore", str(backup.folder)) == 0
        in_doubt += len(Books.read(restored).intents)
        # Buys that were in doubt at the moment of the backup are overdue by now.
        if command(restored, "audit") == 1:
            assert command(restored, "reconcile", "--apply") == 0
        assert time.monotonic() - begun < RESTORED_WITHIN_S
        check(restored, backup, live)
    assert in_doubt > 0, "there were backups in the middle of buys"
    assert 0 < len(Books.read(taken[0].folder).orders) < len(Books.read(taken[-1].folder).orders)


@contextmanager
def shopping(shoppers: Shoppers) -> Iterator[None]:
    """Shoppers who buy for as long as the block runs."""
    ending = threading.Event()

    def shop(shopper: int) -> None:
        with session() as shop:
            for number in itertools.count():
                if ending.is_set():
                    return
                product = ("Ticket", "Tux", "Tux", "Rare")[number % 4]
                shoppers.buy(shop, f"shopper-{shopper}-{number}", product, 1)

    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = [pool.submit(shop, shopper) for shopper in range(CLIENTS)]
        try:
            shoppers.wait_until_answered(CLIENTS)
            yield
        finally:
            ending.set()
        for share in shares:
            share.result()


def take(tiers: Tiers, shoppers: Shoppers, folder: Path) -> Taken:
    """A backup by the program, in a process of its own, as an owner makes it."""
    answered = frozenset(shoppers.answered)
    backup = subprocess.run(
        [sys.executable, "-m", "admin", "backup", str(folder)],
        cwd=ROOT,
        env=tiers.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (backup.returncode, backup.stderr) == (0, "")
    return Taken(folder, answered)


def check(restored: Path, backup: Taken, live: Books) -> None:
    """Every answer that was given before the backup is in it, and what it has is the beginning of what there was."""
    log, catalog = OrderStore(restored / "order.db"), CatalogStore(restored / "catalog.db")
    copied = Books.read(backup.folder)
    assert copied.orders == live.orders[: len(copied.orders)]
    assert copied.ledger == live.ledger[: len(copied.ledger)]
    assert backup.answered <= {key for _, key, _, _ in copied.orders} | copied.refused.keys()
    checkout = Checkout(log, catalog)
    checkout.settle(checkout.intents(1_000))  # as the order tier does when it starts
    log.close()
    catalog.close()
    Books.read(restored).check()
