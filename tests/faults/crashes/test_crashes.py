"""kill -9 at each step of the protocol, once; `make faults` does it 25 times, and 1,000 kills in all."""

from pathlib import Path

from tests.faults.crashes.campaign import Campaign, CrashingStore
from tests.faults.crashes.points import POINTS, RECOVERY_POINTS


def test_a_crash_at_any_step_loses_repeats_and_oversells_nothing(tmp_path: Path) -> None:
    with CrashingStore(tmp_path) as store:
        campaign = Campaign(store, seed=1, say=print)
        books = campaign.run(each=1, at_random=6, buys=1_000)
    points = {point for points in POINTS.values() for point in points} | set(RECOVERY_POINTS)
    assert campaign.kills.keys() == points | {"at random"}
    assert campaign.shoppers.statuses <= {200, 404, 503}
    assert books.products["Ticket"] == 0
    assert books.refused
