"""One kill at each step of a buy and of a return. `make faults` kills 15 times at each, and 1,200 times in all."""

from pathlib import Path

from tests.faults.crashes.campaign import Campaign, CrashingStore
from tests.faults.crashes.points import POINTS


def test_a_crash_at_any_step_loses_repeats_and_oversells_no_buy_and_returns_nothing_twice(tmp_path: Path) -> None:
    with CrashingStore(tmp_path) as store:
        campaign = Campaign(store, seed=1, on_progress=print)
        books = campaign.run(each=1, at_random=6, buys=1_000)
    assert campaign.kills.keys() == POINTS | {"at random"}
    assert campaign.shoppers.statuses <= {200, 404, 503}
    assert campaign.owner.statuses <= {200, 400, 503}
    assert books.refused, "the tickets sold out"
    assert len(books.returns) >= len(campaign.owner.returned) > 0
