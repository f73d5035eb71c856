"""Deadlines shrink from the client inward, so each caller gets the error from the tier nearest to it."""

from client import shop
from db.sqlite.connection import BUSY_TIMEOUT_MS
from wsgi_apps import front_end, order


def test_deadlines_shrink_inward() -> None:
    assert BUSY_TIMEOUT_MS / 1000 < order.DEADLINE_S < front_end.DEADLINE_S < shop.DEADLINE_S
