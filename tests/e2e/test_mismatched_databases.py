"""Lost, older and foreign databases: a tier refuses to start, and an order tier with a wrong catalog sells nothing."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from db.sqlite.pairing import store_id
from db.sqlite.snapshots import CATALOG, LOG
from tests.support.books import Books, query
from tests.support.earlier_schemas import ORDERED_ONE, SOLD_ONE, older
from tests.support.tiers import ROOT, START_TIMEOUT_S, Tiers, running
from tests.support.waiting import wait_until

FILES = {"catalog": "catalog.db", "order": "order.db"}


def buy(tiers: Tiers, key: str, tier: str = "order") -> requests.Response:
    """Buys one Tux under this key, at the order tier or at the front end."""
    path = "/products/Tux/1" if tier == "order" else "/Tux/1"
    return requests.post(tiers.url(tier) + path, headers={"Idempotency-Key": key}, timeout=10)


def refusal(data_dir: Path, tier: str) -> str:
    """Starts a tier on a folder that it must refuse, and returns its error output."""
    tiers = Tiers(data_dir)
    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", f"conf/{tier}.py"],
        cwd=ROOT,
        env=tiers.environment,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    return ended.stderr


def assert_one_line(line: str, *words: str) -> None:
    """Asserts that an error is one line with these words, and names a command that helps."""
    assert line.count("\n") == 1
    for word in (*words, "python -m admin", "restore"):
        assert word in line


@pytest.mark.parametrize("lost", ["catalog", "order"])
@pytest.mark.parametrize("is_empty", [False, True], ids=["missing", "empty"])
def test_a_lost_database_is_not_created_anew(tmp_path: Path, lost: str, is_empty: bool) -> None:
    data = tmp_path / "data"
    with running(data) as tiers:
        assert buy(tiers, "k").status_code == 200
    for file in data.glob(f"{FILES[lost]}*"):
        file.unlink()
    if is_empty:
        (data / FILES[lost]).touch()
    line = refusal(data, lost)
    assert_one_line(line, "is missing", f"with --only {FILES[lost]} its {FILES[lost]} alone")
    assert "audit" not in line, "an audit needs both files"
    assert not (data / FILES[lost]).exists() or (data / FILES[lost]).stat().st_size == 0


def test_a_database_of_another_store_is_refused_by_both_tiers(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with running(tmp_path / name) as tiers:
            assert buy(tiers, "k").status_code == 200
    shutil.copy(tmp_path / "a" / "order.db", tmp_path / "b" / "order.db")
    for tier in FILES:
        assert_one_line(refusal(tmp_path / "b", tier), "order.db", "is of store", "python -m admin audit")


@pytest.mark.parametrize("old", ["catalog", "order"])
def test_an_older_database_is_refused(tmp_path: Path, old: str) -> None:
    data = tmp_path / "data"
    with running(data) as tiers:
        assert buy(tiers, "k0").status_code == 200
        copy = [sys.executable, "-m", "admin", "backup", str(tmp_path / "copy")]
        subprocess.run(copy, cwd=ROOT, env=tiers.environment, check=True)
        assert buy(tiers, "k1").status_code == 200
    shutil.copy(tmp_path / "copy" / FILES[old], data / FILES[old])
    for tier in FILES:
        assert_one_line(refusal(data, tier), FILES[old])


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as tiers:
        assert buy(tiers, "k").status_code == 200
    for tier, file in FILES.items():
        with (data / file).open("r+b") as damaged:
            damaged.seek(4096)
            damaged.write(b"\xde\xad" * 20_000)
        assert_one_line(refusal(data, tier), file, "damaged")


@pytest.mark.parametrize("order", [("catalog", "order"), ("order", "catalog")], ids="-".join)
def test_databases_without_a_store_id_get_one(tmp_path: Path, order: tuple[str, str]) -> None:
    data = tmp_path / "data"
    older(data, CATALOG, 1, SOLD_ONE)
    older(data, LOG, 1, ORDERED_ONE)
    tiers = Tiers(data)
    try:
        tiers.start(*order)
        assert buy(tiers, "k0").json() == {"data": {"order_number": "0"}}
        assert buy(tiers, "k1").json() == {"data": {"order_number": "1"}}
    finally:
        tiers.stop()
    assert store_id(data / "catalog.db") == store_id(data / "order.db") is not None
    Books.read(data).check()


@contextmanager
def on_two_disks(tmp_path: Path) -> Iterator[tuple[Tiers, Tiers]]:
    """Runs the catalog and the order tier with a data folder each, as in containers."""
    catalog = Tiers(tmp_path / "catalog")
    order = Tiers(tmp_path / "order", CATALOG=f"127.0.0.1:{catalog.ports['catalog']}")
    try:
        catalog.start("catalog")
        order.start("order")
        assert buy(order, "k0").status_code == 200
        yield catalog, order
    finally:
        catalog.stop()
        order.stop()


def replace_catalog(catalog: Tiers, data_dir: Path) -> Tiers:
    """Stops a catalog and starts another one, with this data folder, at its address."""
    catalog.stop("catalog")
    other = Tiers(data_dir, CATALOG_BIND=f"127.0.0.1:{catalog.ports['catalog']}")
    other.ports["catalog"] = catalog.ports["catalog"]
    other.start("catalog")
    return other


@pytest.mark.parametrize("kind", ["another", "an older"])
def test_the_order_tier_sells_nothing_until_the_right_catalog_is_back(tmp_path: Path, kind: str) -> None:
    with on_two_disks(tmp_path) as (catalog, order):
        (tmp_path / "other").mkdir()
        if kind == "an older":
            query(tmp_path / "catalog" / "catalog.db", f"VACUUM INTO '{tmp_path}/other/catalog.db'")
        assert buy(order, "k1").status_code == 200
        other = replace_catalog(catalog, tmp_path / "other")
        try:
            stock = requests.get(other.url("catalog") + "/products/Tux", timeout=10).json()
            assert {buy(order, f"lost{number}").status_code for number in range(5)} == {503}
            assert requests.get(other.url("catalog") + "/products/Tux", timeout=10).json() == stock
            assert requests.get(order.url("order") + "/orders/0", timeout=10).status_code == 200, "queries still work"
            # The first buy showed the order tier the other catalog and stays in doubt. No later buy has begun.
            assert query(tmp_path / "order" / "order.db", "SELECT key FROM intents") == [("lost0",)]
            time.sleep(1.5)  # further checks log nothing
            assert order.log.read_text().count("not the one of this order log:") == 1
        finally:
            other.stop()
        catalog.start("catalog")
        wait_until("buys work again", lambda: buy(order, "k2").status_code == 200, timeout_s=10)
        books = wait_until_at_rest(tmp_path)
        assert [key for _, key, *_ in books.orders][:2] == ["k0", "k1"]
        assert order.log.read_text().count("is the one of this order log again") == 1


def wait_until_at_rest(tmp_path: Path) -> Books:
    """Returns the books of the two folders once no buy is in doubt."""
    log = tmp_path / "order" / "order.db"
    wait_until("none is in doubt", lambda: not query(log, "SELECT 1 FROM intents"), timeout_s=10)
    (tmp_path / "both").mkdir()
    for name in FILES:
        query(tmp_path / name / FILES[name], f"VACUUM INTO '{tmp_path / 'both' / FILES[name]}'")
    books = Books.read(tmp_path / "both")
    books.check()
    return books


def test_an_order_tier_with_a_new_empty_log_sells_nothing(tmp_path: Path) -> None:
    with on_two_disks(tmp_path) as (catalog, order):
        order.stop("order")
        shutil.rmtree(tmp_path / "order")
        order.start("order")
        assert [buy(order, f"again{number}").status_code for number in range(3)] == [503] * 3
        assert query(tmp_path / "order" / "order.db", "SELECT key FROM intents") == []
        assert query(tmp_path / "order" / "order.db", "SELECT id FROM store") == []
        assert order.log.read_text().count("lacks what the catalog has sold last") == 1
        assert requests.get(catalog.url("catalog") + "/health", timeout=10).status_code == 200
