"""A full disk under one of the databases while shoppers buy. Only root can mount the disk."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.disks.small_disk import small_disk
from tests.faults.shopping import PRODUCTS, check_books_at_rest, check_recovery, shopping
from tests.support.tiers import products_file, running
from tests.support.waiting import wait_until


@pytest.mark.parametrize(("database", "waits_for_503"), [("catalog.db", False), ("order.db", True)])
def test_a_full_disk_only_delays_buys(tmp_path: Path, database: str, waits_for_503: bool) -> None:
    """The disk of the catalog is full for 1.5 s, that of the order log until a shopper gets a 503."""
    data = tmp_path / "data"
    data.mkdir()
    with small_disk(tmp_path / "disk") as disk:
        # SQLite follows the link, and writes the WAL beside the target.
        (data / database).symlink_to(disk / database)
        with running(data, PRODUCTS=products_file(tmp_path, *PRODUCTS)) as tiers:
            with shopping(tiers) as shoppers:
                with filled(disk):
                    wait_until("the disk is full", lambda: "is full" in tiers.log.read_text())
                    time.sleep(1.5)
                    wait_until("a shopper gets a 503", lambda: not waits_for_503 or 503 in shoppers.statuses)
                check_recovery(shoppers)
            check_books_at_rest(tiers, shoppers)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Fills the disk while the block runs."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass  # no room is left
    try:
        yield
    finally:
        filler.unlink()
