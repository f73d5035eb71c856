"""The store under gunicorn's own workers: slower, but every promise holds, since the promises rest on SQLite."""

import importlib.util
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.exchanges import EXCHANGES
from tests.support.books import Books, assert_audit_is_clean
from tests.support.failed_starts import GUNICORN, shell_start
from tests.support.shoppers import Shoppers, session
from tests.support.tiers import NAMES, Tiers, products_file

needs_gevent = pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="needs gevent")
SHOPPERS = 64

GTHREAD = {name: {"WORKER": "gthread"} for name in NAMES}
# gunicorn runs gthread instead of sync when `threads` is more than 1.
THREADED_SYNC = {name: {"GUNICORN_CMD_ARGS": "-k sync --threads 32"} for name in NAMES}
SYNC = {name: {"GUNICORN_CMD_ARGS": "-k sync"} for name in NAMES}
GEVENT = {"front_end": {"GUNICORN_CMD_ARGS": "-k gevent"}}


@contextmanager
def running(data_dir: Path, changed: Mapping[str, Mapping[str, str]], **settings: str) -> Iterator[Tiers]:
    """Runs a store; `changed` has further settings of single tiers."""
    tiers = Tiers(data_dir, **settings)
    environment = tiers.environment
    try:
        for name in NAMES:
            tiers.environment = {**environment, **changed.get(name, {})}
            tiers.start(name)
        yield tiers
    finally:
        tiers.stop()


@pytest.mark.parametrize(
    ("workers", "called"),
    [
        pytest.param(GTHREAD, "gthread", id="gthread"),
        pytest.param(THREADED_SYNC, "gthread", id="sync with threads"),
        pytest.param(SYNC, "sync", id="sync"),
        pytest.param(GEVENT, "gevent", id="gevent", marks=needs_gevent),
    ],
)
def test_every_exchange_and_promise_holds(
    tmp_path: Path, workers: Mapping[str, Mapping[str, str]], called: str
) -> None:
    with running(tmp_path / "data", workers) as tiers, session() as shopper:
        for exchange in EXCHANGES:
            reply = shopper.request(exchange.method, tiers.url(exchange.tier) + exchange.path, timeout=10)
            exchange.check(reply.status_code, reply.headers["Content-Type"], reply.text)
        shop = tiers.url("front_end")
        page = shopper.get(f"{shop}/products?limit=2", timeout=10).json()
        assert ([product["name"] for product in page["data"]], page["next"]) == (["Bird", "Elephant"], "Elephant")
        assert shopper.get(f"{shop}/ready", timeout=20).status_code == 200
        key = {"Idempotency-Key": "mine"}
        number = shopper.post(f"{shop}/Tux/3", headers=key, timeout=10).json()["data"]["order_number"]
        order = shopper.get(f"{shop}/orders/{number}", headers=key, timeout=10).json()["data"]
        assert (order["order_number"], order["name"], order["quantity"]) == (number, "Tux", 3)
        assert shopper.post(f"{shop}/Tux/78", timeout=10).status_code == 404
        assert shopper.head(f"{shop}/products/Tux", timeout=10).status_code == 200
        assert shopper.post(f"{shop}/Tux/1", data='{"quantity": 2}', timeout=10).status_code == 400
        tiers.stop()  # while a keep-alive connection to each tier is open
        log = tiers.log.read_text()
    assert not re.search("Traceback|SIGKILL|ERROR", log), log
    for name in workers:
        assert log.count(f"{name}: its worker is gunicorn's {called} and not the store's own: it is slower") == 1
    Books.at_rest(tmp_path / "data").check()
    assert_audit_is_clean(tmp_path / "data")


@pytest.mark.parametrize(
    "workers",
    [
        pytest.param(GTHREAD, id="gthread"),
        pytest.param(SYNC, id="sync"),
        pytest.param(GEVENT, id="gevent", marks=needs_gevent),
    ],
)
def test_64_shoppers_buy_exactly_300_of_300_pieces(tmp_path: Path, workers: Mapping[str, Mapping[str, str]]) -> None:
    with running(tmp_path / "data", workers, PRODUCTS=products_file(tmp_path, "Ticket 50 300")) as tiers:
        shoppers = Shoppers(tiers.url("front_end"), deadline_s=60.0, timeout_s=60.0)
        buys = [(f"key-{number}", "Ticket", 1) for number in range(350)]
        shoppers.share(buys, SHOPPERS, meanwhile=lambda: None)
        tiers.stop()
        log = tiers.log.read_text()
    books = Books.at_rest(tmp_path / "data")
    shoppers.history.check(books)
    assert books.products == {"Ticket": 0}
    assert [number for number, *_ in books.orders] == list(range(300))
    assert not re.search("Traceback|SIGKILL|ERROR", log), log
    assert_audit_is_clean(tmp_path / "data")


def test_gunicorns_worker_answers_malformed_requests_in_html(tmp_path: Path) -> None:
    with running(tmp_path / "data", GTHREAD) as tiers:
        for port in tiers.ports.values():
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(b"GET\r\n\r\n")
                reply = connection.makefile("rb").read()
            assert reply.startswith(b"HTTP/1.1 400 ") and b"Content-Type: text/html" in reply


@needs_gevent
def test_a_log_line_does_not_block_the_event_loop(tmp_path: Path) -> None:
    with running(tmp_path / "data", GEVENT) as tiers:
        for _ in range(4):  # so each worker gets some
            with socket.create_connection(("127.0.0.1", tiers.ports["front_end"]), timeout=10) as connection:
                connection.sendall(b"GET\r\n\r\n")
                assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")
            assert requests.get(f"{tiers.url('front_end')}/products/Tux", timeout=10).status_code == 200


@needs_gevent
@pytest.mark.parametrize("tier", ["catalog", "order"])
def test_a_tier_with_a_database_refuses_gevent(tmp_path: Path, tier: str) -> None:
    code, output = shell_start(tier, tmp_path / "data", f"{GUNICORN}/{tier}.py -k gevent")
    [line] = output.splitlines()
    assert (code, line.startswith(f"toy store: {tier}: gunicorn's worker_class=gevent is refused: SQLite")) == (2, True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("tier", NAMES)
def test_a_tier_refuses_an_asgi_worker(tmp_path: Path, tier: str) -> None:
    code, output = shell_start(tier, tmp_path / "data", f"{GUNICORN}/{tier}.py -k asgi")
    *_, line = output.splitlines()
    assert (code, line.startswith(f"toy store: {tier}: gunicorn's worker_class=asgi is refused: ")) == (2, True)


def test_an_order_tier_whose_app_is_wrapped_says_that_it_settles_no_buys_in_doubt(tmp_path: Path) -> None:
    (tmp_path / "wrapped.py").write_text(
        "from conf.wiring import create_order_app\napp = lambda *request, order=create_order_app(): order(*request)\n"
    )
    tiers = Tiers(tmp_path / "data", PYTHONPATH=str(tmp_path))
    tiers.program = (*tiers.program, "wrapped:app")
    try:
        tiers.start("order")
    finally:
        tiers.stop()
    line = "order: its app is not conf.wiring:create_order_app(): this worker settles no buys in doubt"
    assert tiers.log.read_text().count(line) == 1


@pytest.mark.parametrize("tier", NAMES)
def test_a_misspelt_worker_is_a_clear_line(tmp_path: Path, tier: str) -> None:
    code, output = shell_start(tier, tmp_path / "data", f"{GUNICORN}/{tier}.py", WORKER="gthreads")
    assert (code, output) == (2, "toy store: WORKER='gthreads' is not one of: store, gthread\n")
