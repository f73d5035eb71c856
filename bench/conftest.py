"""Fixtures of `make bench`: one store for the whole run, with more stock than the run can buy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tiers import Tiers, products_file, running


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=1_000, help="requests that each latency is measured by")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """The option --rounds."""
    found: int = request.config.getoption("--rounds")
    return found


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    """A running store for the whole run."""
    folder: Path = tmp_path_factory.mktemp("bench")
    with running(folder / "data", PRODUCTS=products_file(folder, "Tux 25.99 1000000000")) as tiers:
        yield tiers
