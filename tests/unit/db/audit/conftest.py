"""Fixtures of the tests of the audit."""

import pytest

from db.audit import names, orders, refusals, stock


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the checks read three rows at a time, so that few rows take several snapshots."""
    for module in (names, stock, orders, refusals):
        monkeypatch.setattr(module, "CHUNK", 3)
