"""A disk without room under one of the databases, while shoppers buy. It takes root: the disk is a small tmpfs."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.shopping import PRODUCTS, check_books_at_rest, check_recovery, shopping
from tests.support.tiers import products_file, running
from tests.support.waiting import wait_until

DISK_BYTES = 8_000_000


@pytest.mark.parametrize(("database", "is_told"), [("catalog.db", False), ("order.db", True)])
def test_a_full_disk_costs_time_and_nothing_else(tmp_path: Path, database: str, is_told: bool) -> None:
    """For a moment, or until shoppers are told to come back later."""
    data = tmp_path / "data"
    data.mkdir()
    with small_disk(tmp_path / "disk") as disk:
        # SQLite follows the link, and writes the log beside the file that it leads to.
        (data / database).symlink_to(disk / database)
        with running(data, PRODUCTS=products_file(tmp_path, *PRODUCTS)) as tiers:
            with shopping(tiers) as shoppers:
                with filled(disk):
                    wait_until("the disk is full", lambda: "is full" in tiers.log.read_text())
                    time.sleep(1.5)
                    wait_until("shoppers are told", lambda: not is_told or 503 in shoppers.statuses)
                check_recovery(shoppers)
            check_books_at_rest(tiers, shoppers)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own. Where none can be mounted, the test is skipped and says so."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
    refused = "this user is not root" if os.geteuid() else subprocess.run(mount, capture_output=True, text=True).stderr
    if refused:
        pytest.skip(f"FULL DISK NOT TESTED, no tmpfs can be mounted here: {refused}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Something else has taken all the room."""
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
