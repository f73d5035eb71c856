"""Backups of a selling store, each restored into a new folder and audited."""

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
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from tests.support.books import Books
from tests.support.shoppers import Shoppers, session
from tests.support.tiers import ROOT, Tiers, products_file, running

BACKUPS = 20
CLIENTS = 12
# The longest time of one restore with its audits: a second for a few thousand orders, longer on a busy machine.
MAX_RESTORE_S = 60.0

Command = Callable[..., int]


@dataclass(frozen=True)
class Backup:
    """A backup, and the keys that were answered before it began."""

    folder: Path
    answered: frozenset[str]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """A function that runs `python -m admin` on the store in a folder, and returns the exit code.

    A restore refuses while a tier answers at its address, and another store may run at the default ones.
    """
    monkeypatch.setenv("CATALOG_BIND", "127.0.0.1:1")
    monkeypatch.setenv("ORDER_BIND", "127.0.0.1:1")

    def run(data_dir: Path, *arguments: str) -> int:
        monkeypatch.setenv("DATA_DIR", str(data_dir))
        return main(list(arguments))

    return run


def test_20_backups_of_a_selling_store_are_complete(tmp_path: Path, command: Command) -> None:
    products = products_file(tmp_path, "Ticket 50 1000000", "Tux 25.99 1000000", "Rare 9 50")
    with running(tmp_path / "data", PRODUCTS=products) as tiers:
        shoppers = Shoppers(tiers.url("front_end"))
        with shopping(shoppers):
            backups = [make_backup(tiers, shoppers, tmp_path / f"backup-{number}") for number in range(BACKUPS)]
            assert command(tiers.data_dir, "audit") == 0, "a buy under way is no discrepancy"
        live = Books.read(tiers.data_dir)
    shoppers.history.check(live)
    assert shoppers.statuses == {200, 404}
    in_doubt = 0
    for backup in backups:
        restored = backup.folder.with_name(f"{backup.folder.name}-restored")
        begun = time.monotonic()
        assert command(restored, "restore", str(backup.folder)) == 0
        in_doubt += len(Books.read(restored).intents)
        # Buys that were in doubt in the backup may be overdue by now.
        if command(restored, "audit") == 1:
            assert command(restored, "reconcile", "--apply") == 0
        assert time.monotonic() - begun < MAX_RESTORE_S
        check(restored, backup, live)
    assert in_doubt > 0, "some backups were made in the middle of a buy"
    assert 0 < len(Books.read(backups[0].folder).orders) < len(Books.read(backups[-1].folder).orders)


@contextmanager
def shopping(shoppers: Shoppers) -> Iterator[None]:
    """Lets shoppers buy while the block runs."""
    ending = threading.Event()

    def shop(shopper: int) -> None:
        with session() as connection:
            for number in itertools.count():
                if ending.is_set():
                    return
                product = ("Ticket", "Tux", "Tux", "Rare")[number % 4]
                shoppers.buy(connection, f"shopper-{shopper}-{number}", product, 1)

    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = [pool.submit(shop, shopper) for shopper in range(CLIENTS)]
        try:
            shoppers.wait_until_answered(CLIENTS)
            yield
        finally:
            ending.set()
        for share in shares:
            share.result()


def make_backup(tiers: Tiers, shoppers: Shoppers, folder: Path) -> Backup:
    """Makes a backup with `python -m admin` in a process of its own."""
    answered = frozenset(shoppers.answered)
    ended = subprocess.run(
        [sys.executable, "-m", "admin", "backup", str(folder)],
        cwd=ROOT,
        env=tiers.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return Backup(folder, answered)


def check(restored: Path, backup: Backup, live: Books) -> None:
    """Asserts that the backup has every answer from before it, and that its history is the beginning of the store's."""
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
