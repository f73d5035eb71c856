"""Pages of products from running tiers: the same bytes from both tiers, and no delay for buys."""

import json
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from domain.values import MAX_NAME_CHARACTERS
from tests.support.books import Books
from tests.support.tiers import Tiers, products_file, running

# The longest names, which make the largest pages.
PRODUCTS = sorted(f"{number:04d}".rjust(MAX_NAME_CHARACTERS, "\U0001f427") for number in range(1_500))


@pytest.fixture(scope="module")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    folder = tmp_path_factory.mktemp("pages")
    lines = [f"{name} 9.90 5" for name in PRODUCTS]
    with running(folder / "data", PRODUCTS=products_file(folder, *lines, "Tux 1.50 100000")) as tiers:
        yield tiers


def test_the_front_end_returns_the_bytes_of_the_catalog(tiers: Tiers) -> None:
    for query in ("", "?limit=1000", "?limit=1000&after=Tux", "?q=tUx", "?q=zzzz", "?q=🐧1&limit=7", "?limit=0"):
        of_catalog, of_front_end = (
            requests.get(f"{tiers.url(tier)}/products{query}", timeout=20) for tier in ("catalog", "front_end")
        )
        assert of_front_end.content == of_catalog.content
        assert of_front_end.status_code == of_catalog.status_code == (400 if query == "?limit=0" else 200)
        assert of_front_end.headers["Content-Type"] == "application/json"


def test_all_products_come_page_by_page(tiers: Tiers) -> None:
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        page = requests.get(f"{tiers.url('front_end')}/products", {"limit": "400", "after": after}, timeout=20).json()
        names += [product["name"] for product in page["data"]]
        after = page["next"]
    assert names == ["Tux", *PRODUCTS]


def test_buys_succeed_beside_more_page_readers_than_page_slots(tiers: Tiers) -> None:
    url = tiers.url("front_end")
    ending = threading.Event()
    seen: set[int] = set()

    def read() -> None:
        with requests.Session() as session:
            while not ending.is_set():
                response = session.get(f"{url}/products?limit=1000&after=Tux", timeout=30)
                seen.add(response.status_code)
                if response.status_code == 200:
                    assert len(json.loads(response.content)["data"]) == 1_000
                else:
                    assert int(response.headers["Retry-After"]) >= 1
                    time.sleep(0.05)

    before = Books.read(tiers.data_dir).products["Tux"]
    readers = [threading.Thread(target=read) for _ in range(80)]
    for reader in readers:
        reader.start()
    try:
        answers = [requests.post(f"{url}/Tux/1", timeout=30).status_code for _ in range(20)]
    finally:
        ending.set()
        for reader in readers:
            reader.join()
    assert answers == [200] * 20
    assert 200 in seen
    assert seen <= {200, 503}
    assert Books.read(tiers.data_dir).products["Tux"] == before - 20
