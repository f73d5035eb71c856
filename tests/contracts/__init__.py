"""A class of tests for each interface of domain/protocols.py, which every implementation of it passes.

A test file of the implementation derives a class from the contract, and overrides its fixtures if need be. The tests
call the methods of the interface alone: no SQL, no files.
"""

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{contract}" for contract in ("catalog", "order_log", "orders")))
