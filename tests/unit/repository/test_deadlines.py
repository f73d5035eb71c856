"""Whoever waits hears of trouble from the tier nearest to it."""

from client.shop import PATIENCE_S
from db.connection import BUSY_TIMEOUT_MS
from wsgi_apps import front_end, order


def test_deadlines_shrink_inward() -> None:
    assert BUSY_TIMEOUT_MS / 1000 < order.DEADLINE_S < front_end.DEADLINE_S < PATIENCE_S
