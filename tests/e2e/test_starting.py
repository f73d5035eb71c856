"""Starts tiers in any order, with buys and returns in doubt, after a stop, and with impossible settings."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from admin.program import main
from conf.settings import TIERS
from tests.support.books import Books, query
from tests.support.failed_starts import failed_start
from tests.support.owners import SECRET
from tests.support.patched_constants import LONG_DEADLINES, gunicorn_files
from tests.support.tiers import NAMES, ROOT, Tiers, clean_environment, products_file, running


@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)), ids="-".join)
def test_no_start_order_is_needed(tmp_path: Path, order: tuple[str, ...]) -> None:
    tiers = Tiers(tmp_path / "data")
    try:
        for name in order:
            tiers.start(name)
        assert requests.post(tiers.url("front_end") + "/Tux/1", timeout=10).json() == {"data": {"order_number": "0"}}
    finally:
        tiers.stop()


def test_without_the_tiers_behind_the_answer_is_503_until_they_start(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data")
    headers = {"Idempotency-Key": "k"}
    try:
        tiers.start("front_end", "order")
        for response in (
            requests.get(tiers.url("front_end") + "/products/Tux", timeout=10),
            requests.post(tiers.url("front_end") + "/Tux/1", headers=headers, timeout=10),
            requests.post(tiers.url("order") + "/products/Tux/1", headers=headers, timeout=10),
        ):
            assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
            assert response.json()["error"]["code"] == 503
        assert query(tiers.data_dir / "order.db", "SELECT * FROM order_log") == [], "no answer is no refusal"
        tiers.start("catalog")
        response = requests.post(tiers.url("front_end") + "/Tux/1", headers=headers, timeout=10)
        assert response.json() == {"data": {"order_number": "0"}}
        Books.read(tiers.data_dir).check()
    finally:
        tiers.stop()


def test_buys_in_doubt_settle_by_themselves(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tiers:
        tiers.stop("catalog")
        response = requests.post(
            tiers.url("order") + "/products/Tux/1", headers={"Idempotency-Key": "doubt"}, timeout=10
        )
        assert response.status_code == 503
        tiers.start("catalog")
        books = Books.at_rest(tiers.data_dir)
        books.check()
        assert [key for _, key, *_ in books.orders] == ["doubt"]


def test_buys_in_doubt_settle_at_the_start(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tiers:
        tiers.stop("catalog")
        requests.post(tiers.url("order") + "/products/Tux/1", headers={"Idempotency-Key": "doubt"}, timeout=10)
        tiers.stop("order")
        tiers.start("catalog", "order")
        assert Books.read(tiers.data_dir).intents == [], "settled before the tier answers"


@contextmanager
def return_in_doubt(data_dir: Path) -> Iterator[Tiers]:
    """Runs a store with a return in doubt, whose catalog is stopped."""
    with running(data_dir, OWNER_SECRET=SECRET) as tiers:
        requests.post(tiers.url("front_end") + "/Tux/2", timeout=10).raise_for_status()
        tiers.stop("catalog")
        headers = {"Idempotency-Key": "doubt", "Authorization": f"Bearer {SECRET}"}
        response = requests.post(tiers.url("order") + "/orders/0/returns", headers=headers, timeout=10)
        assert response.status_code == 503
        yield tiers


def test_returns_in_doubt_settle_by_themselves(tmp_path: Path) -> None:
    with return_in_doubt(tmp_path / "data") as tiers:
        tiers.start("catalog")
        books = Books.at_rest(tiers.data_dir)
        books.check()
        assert books.returns == [("doubt", 0, 2)]


def test_returns_in_doubt_settle_at_the_start(tmp_path: Path) -> None:
    with return_in_doubt(tmp_path / "data") as tiers:
        tiers.stop("order")
        tiers.start("catalog", "order")
        assert Books.read(tiers.data_dir).return_intents == [], "settled before the tier answers"


def test_a_restart_of_a_tier_behind_delays_the_answer(tmp_path: Path) -> None:
    with running(tmp_path / "data", gunicorn_files(tmp_path, **LONG_DEADLINES)) as tiers:
        for behind in ("catalog", "order"):
            tiers.stop(behind)
            restart = threading.Timer(1.0, tiers.start, args=(behind,))
            restart.start()
            assert requests.post(tiers.url("front_end") + "/Tux/1", timeout=120).status_code == 200
            assert requests.get(tiers.url("front_end") + "/products/Tux", timeout=120).status_code == 200
            restart.join()


def test_a_restart_keeps_the_state_and_ignores_the_products_file(tmp_path: Path) -> None:
    with running(tmp_path / "data", PRODUCTS=products_file(tmp_path, "Cat 1.50 7")) as tiers:
        requests.post(tiers.url("front_end") + "/Cat/2", timeout=10)
        tiers.stop()
        products_file(tmp_path, "this is no product line")
        tiers.start()
        cat = requests.get(tiers.url("front_end") + "/products/Cat", timeout=10).json()["data"]
        assert cat == {"name": "Cat", "price": 1.5, "quantity": 5}
        assert requests.post(tiers.url("front_end") + "/Cat/1", timeout=10).json()["data"]["order_number"] == "1"


def test_a_products_file_without_products_is_an_empty_shop_and_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    products = tmp_path / "products.txt"
    products.write_text("# the owner adds them\n")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    warning = f"{products} (PRODUCTS) has no product, so the shop is empty: python -m admin add adds some"
    with running(tmp_path / "data", PRODUCTS=str(products)) as tiers:
        url = tiers.url("front_end") + "/products"
        assert requests.get(url, timeout=10).json() == {"data": [], "next": None}
        assert tiers.log.read_text().count(warning) == 1
        assert main(["add", "Cat", "1.50", "7"]) == 0
        assert [product["name"] for product in requests.get(url, timeout=10).json()["data"]] == ["Cat"]
        tiers.stop("catalog")
        tiers.start("catalog")
        assert tiers.log.read_text().count(warning) == 1, "there is a product now"


def test_two_stores_on_one_folder_are_one_store(tmp_path: Path) -> None:
    with running(tmp_path / "data") as one, running(tmp_path / "data") as other:
        urls = [tiers.url("front_end") for tiers in (one, other)]

        def buy(turn: int) -> str:
            headers = {"Idempotency-Key": f"key-{turn // 2}"}  # each key to both stores
            reply = requests.post(f"{urls[turn % 2]}/Tux/1", headers=headers, timeout=10)
            return str(reply.json()["data"]["order_number"])

        with ThreadPoolExecutor(8) as pool:
            numbers = list(pool.map(buy, range(100)))
    assert numbers[::2] == numbers[1::2]
    assert sorted(map(int, numbers[::2])) == list(range(50))
    books = Books.read(tmp_path / "data")
    books.check()
    assert books.products["Tux"] == 30


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"CATALOG_WORKERS": "two"}, "CATALOG_WORKERS='two'"),
        ({"CATALOG_THREAD": "2"}, "did you mean CATALOG_THREADS"),
        ({"ORDER": "https://shop"}, "ORDER='https://shop'"),
        ({"PRODUCTS": "nowhere.txt"}, "nowhere.txt"),
        ({"CATALOG_BIND": "no.such.host.invalid:80"}, "CATALOG_BIND"),
        ({"CATALOG_BIND": "192.0.2.1:80"}, "CATALOG_BIND"),
    ],
)
def test_an_impossible_setting_stops_the_start(tmp_path: Path, settings: dict[str, str], problem: str) -> None:
    ended = failed_start("catalog", DATA_DIR=str(tmp_path / "data"), **settings)
    assert ended.returncode == 2
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert problem in line


def test_a_malformed_products_file_stops_the_start_and_loads_nothing(tmp_path: Path) -> None:
    products = products_file(tmp_path, "Cat 1.50 7", "Dog 1.50")
    ended = failed_start("catalog", DATA_DIR=str(tmp_path), PRODUCTS=products)
    assert ended.returncode == 2
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert "products.txt, line 2:" in line
    assert query(tmp_path / "catalog.db", "SELECT * FROM products") == []


@pytest.mark.parametrize("tier", ["catalog", "order"])
def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path, tier: str) -> None:
    (tmp_path / f"{tier}.db").write_bytes(b"my diary" * 1000)
    ended = failed_start(tier, DATA_DIR=str(tmp_path))
    assert ended.returncode == 2
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert f"{tier}.db" in line


@pytest.mark.parametrize("tier", ["catalog", "order"])
def test_the_error_of_a_folder_that_cannot_be_created_names_its_setting(tmp_path: Path, tier: str) -> None:
    (tmp_path / "data").write_text("my diary")
    ended = failed_start(tier, DATA_DIR=str(tmp_path / "data"))
    assert ended.returncode == 2
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert line.startswith(f"toy store: {tier}: {tmp_path}/data/{tier}.db (DATA_DIR): ")
    assert (tmp_path / "data").read_text() == "my diary"


@pytest.mark.parametrize("tier", ["catalog", "order"])
def test_the_error_of_a_database_that_cannot_be_opened_names_its_setting(tmp_path: Path, tier: str) -> None:
    (tmp_path / f"{tier}.db").mkdir()
    ended = failed_start(tier, DATA_DIR=str(tmp_path))
    assert ended.returncode == 1, "supervisord retries: the owner may repair it meanwhile"
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert line.startswith(f"toy store: {tier}: {tmp_path}/{tier}.db (DATA_DIR): ")


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_the_error_of_an_unreadable_products_file_names_its_setting(tmp_path: Path, content: bytes | None) -> None:
    products = tmp_path / "products.txt"
    if content is not None:
        products.write_bytes(content)
    ended = failed_start("catalog", DATA_DIR=str(tmp_path), PRODUCTS=str(products))
    assert ended.returncode == 2
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert line.startswith(f"toy store: catalog: cannot read the products file {products} (PRODUCTS): ")
    assert query(tmp_path / "catalog.db", "SELECT * FROM products") == []


@pytest.mark.parametrize("tier", TIERS)
def test_gunicorn_applies_each_of_our_settings(tier: str) -> None:
    """gunicorn ignores unknown names, so this compares the settings that it prints."""
    printed = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", f"conf/{tier}.py", "--print-config"],
        cwd=ROOT,
        env=clean_environment() | {"OWNER_SECRET": "secret--" * 4},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    config = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    config = {name.strip(): value.strip() for name, value in config.items()}
    assert config["wsgi_app"] == f"conf.wiring:create_{tier}_app()"
    workers = ("gthread", "8") if tier == "back_office" else ("server.worker.StoreWorker", "1")
    assert (config["worker_class"], config["threads"]) == workers
    assert config["worker_connections"] == "1000"
    assert config["preload_app"] == "False"
    assert config["control_socket_disable"] == "True"
    assert int(config["keepalive"]) >= 30
    assert (config["limit_request_line"], config["limit_request_fields"]) == ("4094", "64")
    assert config["graceful_timeout"] == "10"
    assert config["when_ready"] == "<when_ready()>"


def test_the_order_tier_starts_with_buys_in_doubt_and_no_catalog(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tiers:
        tiers.stop("catalog")
        requests.post(tiers.url("order") + "/products/Tux/1", headers={"Idempotency-Key": "doubt"}, timeout=10)
        tiers.stop("order")
        tiers.start("order")
        assert Books.read(tiers.data_dir).intents == ["doubt"]
        tiers.start("catalog")
        answer = requests.post(tiers.url("front_end") + "/Tux/1", headers={"Idempotency-Key": "doubt"}, timeout=10)
        assert answer.json() == {"data": {"order_number": "0"}}
