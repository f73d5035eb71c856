"""Writes and syncs that fail in the running tiers, in one database after the other, while shoppers buy."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.disks.faulty_disk import Fault
from tests.faults.shopping import PRODUCTS, check_books_at_rest, check_recovery, shopping
from tests.support.tiers import products_file, running
from tests.support.waiting import wait_until

ON_A_FAULTY_DISK = {tier: f"tests/faults/disks/conf/{tier}.py" for tier in ("catalog", "order")}
LASTS_S = 1.0


@pytest.mark.parametrize("fault", list(Fault))
def test_a_disk_that_fails_for_a_while_only_delays_buys(tmp_path: Path, fault: Fault) -> None:
    switch = tmp_path / "fault"
    with running(
        tmp_path / "data", ON_A_FAULTY_DISK, PRODUCTS=products_file(tmp_path, *PRODUCTS), FAULT_SWITCH=str(switch)
    ) as tiers:
        with shopping(tiers) as shoppers:
            for database in ("catalog.db", "order.db"):
                lines = tiers.log.read_text().count(f"{database}: ")

                def is_logged(database: str = database, lines: int = lines) -> bool:
                    return tiers.log.read_text().count(f"{database}: ") > lines

                with failing(switch, fault, database):
                    wait_until("the fault is logged", is_logged)
                    time.sleep(LASTS_S)
                check_recovery(shoppers)
        check_books_at_rest(tiers, shoppers)


@contextmanager
def failing(switch: Path, fault: Fault, database: str) -> Iterator[None]:
    """Makes the database and its WAL fail while the block runs."""
    new = switch.with_suffix(".new")
    new.write_text(f"{fault} {database}")
    new.replace(switch)  # atomic, because the tiers read it all the time
    try:
        yield
    finally:
        switch.unlink()
