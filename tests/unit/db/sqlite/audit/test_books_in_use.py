"""An audit changes no file, and reports no buy of a selling store as a discrepancy."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw
import pytest

from db.sqlite.audit import audit, orders, stock
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.snapshots import File, Snapshots
from db.sqlite.status import status
from domain.checkout import Checkout
from domain.errors import OutOfStock, Unavailable
from domain.values import Buy, Sold
from tests.support.audit import findings


def test_an_audit_changes_no_file(books: Path) -> None:
    before = {path.name: path.read_bytes() for path in books.iterdir()}
    assert set(before) == {"catalog.db", "order.db"}
    assert findings(books) == []
    assert {path.name: path.read_bytes() for path in books.iterdir()} == before


@pytest.mark.parametrize("linked", [False, True])
def test_an_audit_reads_the_wal_that_a_crash_left_and_keeps_it(books: Path, tmp_path: Path, linked: bool) -> None:
    store, copy = OrderStore(books / "order.db"), tmp_path / "copy"
    store.begin([Buy("new", "Tux", 1)])
    copy.mkdir()
    for path in books.glob("*.db*"):  # with the WAL, as a power cut leaves it
        if not path.name.endswith("-shm"):
            (copy / path.name).write_bytes(path.read_bytes())
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert before["order.db-wal"]
    links = tmp_path / "links"
    links.mkdir()
    for name in ("catalog.db", "order.db"):
        (links / name).symlink_to(copy / name)
    assert findings(links if linked else copy) == []
    assert {name: (copy / name).read_bytes() for name in before} == before
    store.close()


def test_an_audit_follows_links_to_the_two_files(books: Path, tmp_path: Path) -> None:
    """In containers the two files are links to two volumes."""
    links = tmp_path / "links"
    links.mkdir()
    for name in ("catalog.db", "order.db"):
        (links / name).symlink_to(books / name)
    store = OrderStore(books / "order.db")
    store.begin([Buy("new", "Tux", 1)])
    assert findings(links) == []
    with Snapshots(links) as snapshots:
        state = status(snapshots)
    assert state.intents == 1
    assert (state.files[1].wal_bytes or 0) > 0
    assert sorted(path.name for path in links.iterdir()) == ["catalog.db", "order.db"]
    store.close()


class InterruptedSnapshots(Snapshots):
    """Calls `between` after the snapshot of the first file and before that of the second."""

    between: Callable[[], None]

    @contextmanager
    def snapshot(self, *files: File) -> Iterator[apsw.Connection]:
        with super().snapshot(files[0]) as connection:
            self.between()
            yield connection


@pytest.mark.parametrize("refused", [False, True])
def test_a_buy_between_the_snapshots_of_the_two_files_is_no_discrepancy(
    books: Path, checkout: Checkout, refused: bool
) -> None:
    number = 0

    def buy() -> None:
        nonlocal number
        number += 1
        try:
            checkout.place(Buy(f"meanwhile-{number}", "Bird", 1_000 if refused else 1))
        except OutOfStock:
            assert refused

    with InterruptedSnapshots(books) as snapshots:
        snapshots.between = buy
        assert audit(snapshots).discrepancies == ()
    assert number > 10


def test_buys_at_every_step_are_no_discrepancy(books: Path, catalog: CatalogStore, orders: OrderStore) -> None:
    buys: list[Buy] = []

    def advance() -> None:
        """Begins a buy, sells the one before it, and orders the one before that."""
        buys.append(Buy(f"step-{len(buys)}", "Bird", 1))
        orders.begin(buys[-1:])
        catalog.sell(buys[-2:-1])
        orders.begin(buys[-3:-2])
        orders.finish([(buy, Sold(3999)) for buy in buys[-3:-2]])

    with InterruptedSnapshots(books) as snapshots:
        snapshots.between = advance
        assert audit(snapshots).discrepancies == ()


def test_an_audit_is_clean_while_shoppers_buy(books: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "CHUNK", 100)
    monkeypatch.setattr(orders, "CHUNK", 100)
    ended = threading.Event()
    bought: list[Buy] = []

    def shop(name: str) -> None:
        catalog, log = CatalogStore(books / "catalog.db"), OrderStore(books / "order.db")
        checkout, number = Checkout(log, catalog), 0
        while not ended.is_set():
            buys = [Buy(f"{name}-{number + at}", "Elephant" if at else "Unicorn", 1) for at in range(3)]
            with suppress(Unavailable):  # the lock may be held for a second; the same keys are sent again
                checkout.place_all(buys)
                bought.extend(buys)
                number += 3
        catalog.close()
        log.close()

    shoppers = [threading.Thread(target=shop, args=(name,)) for name in "ab"]
    for shopper in shoppers:
        shopper.start()
    try:
        audits = 0
        while audits < 20 or len(bought) < 300:
            assert findings(books) == []
            audits += 1
    finally:
        ended.set()
        for shopper in shoppers:
            shopper.join()


def test_each_check_reports_its_progress(books: Path) -> None:
    reported: list[str] = []
    with Snapshots(books) as snapshots:
        audit(snapshots, on_progress=reported.append)
    assert reported == ["files", "names", "stock", "orders", "refusals", "returns", "intents"]
