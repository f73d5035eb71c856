"""A wall clock that jumps by hours under running tiers."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.faults.jumping_clock import JumpingClock
from tests.faults.shopping import PRODUCTS, check_books_at_rest, check_recovery, shopping
from tests.support.books import query
from tests.support.tiers import NAMES, Tiers, products_file, running

BETWEEN_JUMPS_S = 1.0


def test_a_jumping_clock_changes_only_the_times_of_orders(tmp_path: Path) -> None:
    clock = JumpingClock(tmp_path)
    with running(tmp_path / "data", PRODUCTS=products_file(tmp_path, *PRODUCTS), **clock.environment) as tiers:
        workers = workers_of(tiers)
        with shopping(tiers) as shoppers:
            for ahead in (timedelta(hours=5), timedelta(hours=-7), timedelta(0), timedelta(days=400)):
                clock.set_ahead(ahead)
                check_recovery(shoppers)
                time.sleep(BETWEEN_JUMPS_S)
                measured = time_of_last_order(tiers) - datetime.now(UTC)
                assert abs(measured - ahead) < timedelta(minutes=5), "the tiers saw the jump"
        assert shoppers.statuses <= {200, 404}
        assert workers <= workers_of(tiers), "no worker was restarted"
        check_books_at_rest(tiers, shoppers)


def workers_of(tiers: Tiers) -> set[int]:
    """Returns the process ids of all workers."""
    return {worker for name in NAMES for worker in tiers.workers(name)}


def time_of_last_order(tiers: Tiers) -> datetime:
    """Returns the time of the newest order, by the clock of the order tier."""
    [(time,)] = query(tiers.data_dir / "order.db", "SELECT time FROM orders ORDER BY number DESC LIMIT 1")
    return datetime.fromisoformat(time)
