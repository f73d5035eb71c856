"""The check of the promises after a load."""

from pathlib import Path

import apsw
import pytest

from bench import seed
from domain.checkout import Checkout
from domain.values import Buy


def test_the_check_after_a_load_finds_a_missing_order(tmp_path: Path, checkout: Checkout) -> None:
    for number in range(3):
        checkout.place(Buy(f"k{number}", "Tux", 1))
    seed.check(tmp_path)
    with apsw.Connection(str(tmp_path / "order.db")) as connection:
        connection.execute("DROP TRIGGER orders_delete; DELETE FROM orders WHERE number = 1")
    with pytest.raises(seed.BrokenPromise, match="I1"):
        seed.check(tmp_path)
