"""Reads the databases of a running store as README advises: with apsw's shell, and as Datasette does."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.books import Books
from tests.support.tiers import Tiers, running

COUNT = "SELECT count(*) FROM order_log"
# Datasette uses the standard library's SQLite. One process must not mix it with the store's, which is newer.
STANDARD = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1], uri=True).execute(sys.argv[2]).fetchall()[0][0])"


@pytest.fixture(scope="module")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    with running(tmp_path_factory.mktemp("shells") / "data") as tiers:
        yield tiers


@pytest.fixture
def order_db(tiers: Tiers) -> Path:
    """Returns the order log after a buy that only the write-ahead log has so far."""
    assert requests.post(f"{tiers.url('front_end')}/Bird/1", timeout=60).status_code == 200
    return tiers.data_dir / "order.db"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with these arguments."""
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, check=False)


def test_the_shell_of_apsw_reads_beside_the_store(tiers: Tiers, order_db: Path) -> None:
    orders = len(Books.read(tiers.data_dir).orders)
    assert run("-m", "apsw", f"file:{order_db}?mode=ro", COUNT).stdout == f"{orders}\n"


def test_the_read_only_shell_of_apsw_changes_and_creates_nothing(tiers: Tiers, order_db: Path) -> None:
    before = Books.read(tiers.data_dir)
    assert "readonly database" in run("-m", "apsw", f"file:{order_db}?mode=ro", "DELETE FROM orders").stderr
    assert run("-m", "apsw", f"file:{tiers.data_dir}/orders.db?mode=ro", COUNT).returncode != 0
    assert not (tiers.data_dir / "orders.db").exists()
    assert Books.read(tiers.data_dir) == before


def test_a_reader_like_datasette_sees_each_order(tiers: Tiers, order_db: Path) -> None:
    orders = len(Books.read(tiers.data_dir).orders)
    assert run("-c", STANDARD, f"file:{order_db}?mode=ro", COUNT).stdout == f"{orders}\n"


def test_an_immutable_reader_sees_the_last_checkpoint(tiers: Tiers, order_db: Path) -> None:
    """`datasette -i` opens files as immutable."""
    orders = len(Books.read(tiers.data_dir).orders)
    seen = run("-c", STANDARD, f"file:{order_db}?immutable=1", COUNT).stdout
    assert int(seen) < orders
