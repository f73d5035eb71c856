"""The stores of a tier: on PostgreSQL where its settings have the address of a database, else in a file."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from werkzeug.test import Client

from conf.settings import Settings, load
from conf.stores import catalog_stores, order_stores, require_catalog_file, require_order_file
from conf.wiring import create_catalog_app, create_order_app, prepare_catalog, prepare_order
from db.postgres.catalog import CatalogStore
from db.postgres.order import OrderStore
from db.sqlite.catalog import CatalogStore as CatalogInFile
from db.sqlite.order import OrderStore as OrdersInFile
from db.start import StartPostponed, StartRefused
from tests.support.tiers import ROOT, free_port
from wsgi_apps.book_keeper import PostgresBookKeeper

OWNER = "owner-" * 6


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_address: str) -> dict[str, str]:
    """The settings of a store on PostgreSQL, which are also those of this process."""
    settings = {
        "DATA_DIR": str(tmp_path / "data"),
        "CATALOG_DATABASE": postgres_address,
        "ORDER_DATABASE": postgres_address,
        "OWNER_SECRET": OWNER,
        "CATALOG": f"127.0.0.1:{free_port()}",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture
def prepared(environment: dict[str, str]) -> Settings:
    """The settings of a store on PostgreSQL whose tiers have started once."""
    settings = load(environment)
    prepare_catalog(settings)
    prepare_order(settings)
    return settings


def test_each_tier_has_an_engine_of_its_own(tmp_path: Path) -> None:
    address = "postgresql://user@host/store"
    settings = load({"DATA_DIR": str(tmp_path), "CATALOG_DATABASE": address})
    assert isinstance(catalog_stores(settings).store, CatalogStore)
    assert isinstance(order_stores(settings).store, OrdersInFile)
    settings = load({"DATA_DIR": str(tmp_path), "ORDER_DATABASE": address})
    assert isinstance(catalog_stores(settings).store, CatalogInFile)
    assert isinstance(order_stores(settings).store, OrderStore)
    assert list(tmp_path.iterdir()) == []


def test_the_connections_of_a_process_are_limited_by_a_setting(
    environment: dict[str, str], prepared: Settings, postgres_address: str
) -> None:
    """Store and owner of the catalog share the one connection: a call waits while another one has it."""
    stores = catalog_stores(load({**environment, "DATABASE_CONNECTIONS": "1"}))
    with ThreadPoolExecutor(4) as pool:
        calls: list[Callable[[], Any]] = [stores.store.is_empty, lambda: stores.owner.stock(limit=9)] * 4
        for done in [pool.submit(call) for call in calls]:
            done.result()
    with psycopg.connect(postgres_address) as other:
        [(connections,)] = other.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND application_name = 'toystore'"
        )
    stores.store.close()
    assert connections == 1


def test_without_psycopg_a_database_refuses_the_start_and_says_what_to_do(tmp_path: Path) -> None:
    """In a process that has imported nothing yet; the other tier, on SQLite, needs no psycopg."""
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from conf.settings import load\n"
        "from conf.wiring import prepare_catalog, prepare_order\n"
        "from db.start import StartRefused\n"
        f"settings = load({{'DATA_DIR': {str(tmp_path)!r}, 'ORDER_DATABASE': 'postgresql://host/store'}})\n"
        "prepare_catalog(settings)\n"
        "try:\n    prepare_order(settings)\n"
        "except StartRefused as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "ORDER_DATABASE is set, which needs the package psycopg: make install-postgres\n", done.stderr


@pytest.mark.parametrize(
    "address", ["postgresql://user:hunter2%zz@host/store", "postgresql://user:hunter2@[host/store"]
)
def test_an_address_that_libpq_cannot_read_is_refused_without_its_password(address: str) -> None:
    for variable, stores in (("CATALOG_DATABASE", catalog_stores), ("ORDER_DATABASE", order_stores)):
        with pytest.raises(StartRefused, match=f"^{variable} is no address that PostgreSQL's libpq reads$"):
            stores(load({variable: address}))


def test_a_start_without_its_database_is_postponed_with_a_line(tmp_path: Path) -> None:
    """Exit code 1 then lets the supervisor try again: see on_ready in conf/common.py."""
    port = free_port()
    address = f"postgresql://user:hunter2@127.0.0.1:{port}/store"
    settings = load({"CATALOG_DATABASE": address, "ORDER_DATABASE": address})
    for variable, prepare in (("CATALOG_DATABASE", prepare_catalog), ("ORDER_DATABASE", prepare_order)):
        with pytest.raises(StartPostponed, match=rf"^postgresql://127.0.0.1:{port}/store \({variable}\): ") as error:
            prepare(settings)
        assert "hunter2" not in str(error.value)


def test_tiers_that_start_at_once_load_the_first_products_once(
    environment: dict[str, str], postgres_address: str
) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(prepare_catalog, load(environment)) for _ in range(4)]:
            done.result()
        for done in [pool.submit(prepare_order, load(environment)) for _ in range(4)]:
            done.result()
    with psycopg.connect(postgres_address) as other:
        assert other.execute("SELECT count(*), sum(quantity) FROM catalog.products").fetchall() == [(4, 359)]
        assert other.execute("SELECT count(*) FROM catalog.stock_ledger").fetchall() == [(4,)]


def test_the_tiers_serve_what_is_on_postgresql(prepared: Settings, tmp_path: Path) -> None:
    catalog, order = Client(create_catalog_app()), Client(create_order_app().app)
    assert catalog.get("/products/Tux").json == {"data": {"name": "Tux", "price": 25.99, "quantity": 80}}
    assert catalog.get("/ready").json == {"data": {"status": "ready"}}
    assert order.get("/orders/0").status_code == 404
    response = order.get("/ready")
    assert response.json is not None
    assert response.json["error"]["message"].startswith("not ready: catalog: "), "it has the log, and no catalog"
    owner = {"Authorization": f"Bearer {OWNER}"}
    stock = catalog.get("/v1/owner/stock?limit=1", headers=owner).json
    assert stock is not None and len(stock["data"]) == 1
    books = order.get("/v1/owner/books", headers=owner).json
    assert books is not None and books["data"][0] == 0
    assert not (tmp_path / "data").exists(), "nothing of it is in files"


def test_files_of_an_earlier_store_do_not_stop_one_on_postgresql(tmp_path: Path, environment: dict[str, str]) -> None:
    """Their catalog has sold what the log on PostgreSQL has not: without a database it would refuse the start."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "catalog.db").write_bytes(b"not a database at all" * 99)
    (folder / "order.db").write_bytes(b"not a database at all" * 99)
    settings = load(environment)
    assert (require_catalog_file(settings), require_order_file(settings)) == (None, None)
    (folder / "order.db").unlink()
    alone = load({"DATA_DIR": str(folder), "CATALOG_DATABASE": environment["CATALOG_DATABASE"]})
    assert require_order_file(alone) is None
    order_stores(alone).store.migrate()
    assert order_stores(alone).store.intents(9) == []


def test_the_desk_audits_on_postgresql_where_both_addresses_are_known(
    environment: dict[str, str], tmp_path: Path
) -> None:
    both = order_stores(load(environment)).keeper
    assert isinstance(both, PostgresBookKeeper)
    alone = order_stores(load({"ORDER_DATABASE": environment["ORDER_DATABASE"], "BACKUP_DIR": str(tmp_path)})).keeper
    with pytest.raises(Exception, match="the order tier has no CATALOG_DATABASE, and this needs both databases"):
        alone.audit()
    mixed = order_stores(
        load({"CATALOG_DATABASE": environment["CATALOG_DATABASE"], "BACKUP_DIR": str(tmp_path)})
    ).keeper
    with pytest.raises(Exception, match="the order tier has no ORDER_DATABASE"):
        mixed.back_up("k")
