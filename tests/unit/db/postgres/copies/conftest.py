"""A store of SQLite with all that its books can have, and empty databases to copy it to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db.postgres.copies.copy_in import copy_in
from db.postgres.copies.copy_out import copy_out
from db.postgres.copies.moment import Addresses
from db.sqlite.audit import Audit
from db.sqlite.audit.acceptance import accept
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from domain.checkout import Checkout
from domain.returns import Return, Returns
from domain.values import Buy, Product
from tests.support.audit import run_audit
from tests.support.backups import no_progress
from tests.support.forgery import forge
from tests.support.postgres import TestServer


def make_store(folder: Path) -> None:
    """Makes a store with all kinds of rows: also a buy and a return in doubt, and a discrepancy that was accepted."""
    catalog, log = CatalogStore(folder / "catalog.db"), OrderStore(folder / "order.db")
    products = ProductAdmin(folder / "catalog.db")
    catalog.migrate()
    log.migrate()
    catalog.load([Product("Tux", 2599, 80), Product("a\\tb 🦆", 1, 5), Product("Z", 100, 3)])
    checkout, returns = Checkout(log, catalog), Returns(log, catalog)
    log.pair(catalog.introduce(None))
    for number in range(5):
        checkout.place_all([Buy(f"buy-{number}", "Tux", number + 1)])
    checkout.place_all([Buy("duck", "a\\tb 🦆", 2), Buy("too-many", "Z", 4), Buy("none", "Nobody\\N", 1)])
    products.price("Tux", 2799, "dearer")
    products.restock("Z", 7, "more")
    products.writeoff("Z", 1, "it \\ fell", "fell")
    products.retire("Z", "gone")
    returns.give_back(Return("back", 2, 2, "too loud"))
    returns.give_back(Return("back-2", 3, 1, None))
    log.begin([Buy("in-doubt", "Tux", 1)])
    catalog.sell([Buy("in-doubt", "Tux", 1)])
    log.begin_returns([Return("return-in-doubt", 1, 1, "why")])
    for store in (catalog, log, products):
        store.close()
    forge(folder / "order.db", "UPDATE orders SET price_cents = 1 WHERE number = 0")
    wrong = [one for one in run_audit(folder).discrepancies if one.repair is None]
    for number, one in enumerate(wrong):
        accept(folder / "catalog.db", one, "a forged price", "owner", f"accept-{number}")
    assert wrong


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder of such a store, which does not run."""
    folder = tmp_path / "source"
    folder.mkdir()
    make_store(folder)
    return folder


@pytest.fixture(params=["one database", "two databases"])
def addresses(request: pytest.FixtureRequest, postgres_server: TestServer) -> Iterator[Addresses]:
    """The addresses of both schemas, which are not there yet: in one empty database, and in two."""
    with postgres_server.database() as one, postgres_server.database() as other:
        yield Addresses(one, one if request.param == "one database" else other)


@pytest.fixture
def one_database(postgres_address: str) -> Addresses:
    """The addresses of both schemas in one empty database."""
    return Addresses(postgres_address, postgres_address)


@pytest.fixture
def copied(source: Path, addresses: Addresses) -> Addresses:
    """The addresses of both schemas, which have that store."""
    copy_in(source, addresses, no_progress)
    return addresses


CopyOut = Callable[..., Audit]


@pytest.fixture
def copy_to(copied: Addresses) -> CopyOut:
    """Copies the store from PostgreSQL to a folder."""
    return lambda folder: copy_out(copied, folder, no_progress)
