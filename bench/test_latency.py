"""What one shopper waits for a query and for a buy, alone and beside up to four others who do the same.

The others are a process of their own, the store's client, so that they do not slow the measuring one down by sharing
its interpreter. Run it by `make bench`.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from pytest_benchmark.fixture import BenchmarkFixture

from client.report import percentile
from tests.shoppers import session
from tests.tiers import ROOT, Tiers

ROUNDS = 1_000
WARM_UP_ROUNDS = 50
MODES = {"query": "2", "buy": "3"}


@pytest.mark.parametrize("clients", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["query", "buy"])
def test_latency(benchmark: BenchmarkFixture, store: Tiers, kind: str, clients: int) -> None:
    benchmark.group = kind
    url = store.url("front_end")
    method, path = ("GET", "/products/Tux") if kind == "query" else ("POST", "/Tux/1")
    with session() as shop, others(store, kind, clients - 1):

        def ask() -> requests.Response:
            return shop.request(method, url + path, timeout=10)

        response = benchmark.pedantic(ask, rounds=ROUNDS, warmup_rounds=WARM_UP_ROUNDS)
    assert response.status_code == 200
    assert benchmark.stats is not None
    waited = sorted(benchmark.stats.stats.data)
    for percent in (50, 95, 99):
        benchmark.extra_info[f"p{percent}_ms"] = round(percentile(waited, percent) * 1000, 3)
    benchmark.extra_info["clients"] = clients


@contextmanager
def others(store: Tiers, kind: str, clients: int) -> Iterator[None]:
    """So many other shoppers at work, until the end of the block."""
    if clients == 0:
        yield
        return
    arguments = ["--mode", MODES[kind], "--product", "Tux", "--quantity", "1", "--count", "100000000"]
    command = [sys.executable, "-m", "client", *arguments, "--clients", str(clients)]
    crowd = subprocess.Popen(command, cwd=ROOT, env=store.environment, stdout=subprocess.DEVNULL)
    try:
        yield
        assert crowd.poll() is None, "the others stopped before the measurement was over"
    finally:
        crowd.terminate()
        crowd.wait()
