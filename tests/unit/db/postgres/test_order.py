"""The order log on PostgreSQL: the contracts of a log, and what several order tiers do to it at once."""

from tests.contracts.order_log import OrderLogContract
from tests.contracts.owner_orders import OrderBooksContract
from tests.contracts.returns import ReturnLogContract


class TestOrderStore(OrderLogContract):
    """A log on PostgreSQL fulfils the contract of a log."""


class TestReturnsInTheLog(ReturnLogContract):
    """A log on PostgreSQL fulfils the contract of a log of returns."""


class TestOwnerOrderStore(OrderBooksContract):
    """The owner's store fulfils the contract of the owner's books."""
