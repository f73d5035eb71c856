"""Fixtures and forgeries of the tests of the audit."""

from pathlib import Path

import pytest

from db.sqlite.audit import names, orders, refusals, returns, stock

FORGED_ORDER = "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('mine', 'Tux', 1, 1)"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the checks read three rows at a time, so that few rows take several snapshots."""
    for module in (names, stock, orders, refusals, returns):
        monkeypatch.setattr(module, "CHUNK", 3)


def damage_page(path: Path) -> None:
    """Overwrites the begin of the third page of a database."""
    content = bytearray(path.read_bytes())
    content[2 * 4096 : 2 * 4096 + 192] = b"\xff" * 192
    path.write_bytes(content)
