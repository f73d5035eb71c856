"""Contracts: a class of tests for each protocol in domain/protocols.py. Every implementation must pass them.

The test file of an implementation derives a class from the contract, and overrides its fixtures if need be. The tests
call only the methods of the protocol: no SQL, no files.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{contract}" for contract in ("catalog", "order_log", "orders", "product_changes", "races"))
)
