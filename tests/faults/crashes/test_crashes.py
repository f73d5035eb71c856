"""One kill at each step of the protocol. `make faults` kills 25 times at each, and 1,000 times in all."""

from pathlib import Path

from tests.faults.crashes.campaign import Campaign, CrashingStore
from tests.faults.crashes.points import POINTS, RECOVERY_POINTS


def test_a_crash_at_any_step_loses_repeats_and_oversells_no_buy(tmp_path: Path) -> None:
    with CrashingStore(tmp_path) as store:
        campaign = Campaign(store, seed=1, on_progress=print)
        books = campaign.run(each=1, at_random=6, buys=1_000)
    points = {point for points in POINTS.values() for point in points} | set(RECOVERY_POINTS)
    assert campaign.kills.keys() == points | {"at random"}
    assert campaign.shoppers.statuses <= {200, 404, 503}
    assert books.products["Ticket"] == 0
    assert books.refused
