"""Deadlines shrink from the client inward, so each caller gets the error from the tier nearest to it."""

from conf.settings import DATABASE_PATIENCE_S, PATIENCE_S
from db.sqlite.connection import BUSY_TIMEOUT_MS
from wsgi_apps import front_end, order


def test_deadlines_shrink_inward() -> None:
    assert BUSY_TIMEOUT_MS / 1000 < order.DEADLINE_S < front_end.DEADLINE_S < PATIENCE_S


def test_a_shopper_waits_for_a_standby_that_takes_over() -> None:
    """Patroni's shortest `ttl` is 20 s: see docs/scaling.md."""
    assert DATABASE_PATIENCE_S > 20 + PATIENCE_S / 2
