"""A store with two orders and a refused buy, and the owner's program to run on it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from admin.program import main
from domain.checkout import Checkout
from domain.errors import OutOfStock
from domain.values import Buy
from tests.support.tiers import free_port

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a store with two orders and a refused buy. DATA_DIR names it, and no tier runs."""
    for key, quantity in (("a", 1), ("b", 2)):
        checkout.place(Buy(key, "Tux", quantity))
    with pytest.raises(OutOfStock):
        checkout.place(Buy("c", "Tux", 1_000))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for tier in ("CATALOG", "ORDER"):
        monkeypatch.setenv(f"{tier}_BIND", f"127.0.0.1:{free_port()}")
    return tmp_path


@pytest.fixture
def run(store: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the owner's program in this process, and returns its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return run
