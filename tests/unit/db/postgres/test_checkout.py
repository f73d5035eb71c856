"""Buys and returns over both stores on PostgreSQL, in one process."""

from tests.contracts.orders import OrdersContract
from tests.contracts.returns import OwnerReturnsContract


class TestCheckout(OrdersContract):
    """A checkout over the stores on PostgreSQL fulfils the contract of the order tier."""


class TestReturns(OwnerReturnsContract):
    """Returns over the stores on PostgreSQL fulfil the contract of the owner's returns."""
