"""Pages of products and of the stock on PostgreSQL are those of SQLite, byte for byte."""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import hypothesis.strategies as st
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from db.postgres import catalog as catalog_module
from db.postgres.catalog import SCHEMA, CatalogStore
from db.postgres.database import Database
from db.postgres.owner_catalog import OwnerCatalogStore
from db.postgres.parameters import to_psycopg
from db.sqlite.catalog import CatalogStore as SqliteCatalog
from db.sqlite.owner_catalog import OwnerCatalogStore as SqliteOwner
from db.sqlite.staging import create_private
from domain.errors import Invalid
from domain.values import MAX_NAME_CHARACTERS, MAX_PRICE_CENTS, MAX_STOCK, Product, parse_name
from tests.support.postgres import TestServer
from tests.support.postgres_reset import Reset, resettable

FEW_EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def is_name(text: str) -> bool:
    try:
        parse_name(text)
    except Invalid:
        return False
    return True


# As in the tests of SQLite's pages: letters whose case is special, wildcards, and what JSON escapes.
LETTERS = "aAbBßẞİiıIéÉe\u0301ΣςσǰJ\u030cﬁ%_*?[]\"'\\^- \U0001f427"
names = st.text(LETTERS, min_size=1, max_size=8).map(parse_name).filter(is_name)
any_names = st.text(min_size=1, max_size=MAX_NAME_CHARACTERS).filter(is_name).map(parse_name).filter(is_name)
products = st.builds(Product, names | any_names, st.integers(0, MAX_PRICE_CENTS), st.integers(0, MAX_STOCK))


class Twins(NamedTuple):
    """One catalog on both engines."""

    postgres: CatalogStore
    owner: OwnerCatalogStore
    reset: Reset


def create_schema(address: str) -> None:
    database = Database(address, SCHEMA)
    CatalogStore(database).migrate()
    database.close()


@pytest.fixture(scope="module")
def empty(postgres_server: TestServer) -> Iterator[Twins]:
    """An empty catalog on PostgreSQL, which each example empties again."""
    with (
        postgres_server.database(create_schema) as address,
        closing(Database(address, SCHEMA)) as database,
        resettable(address, SCHEMA) as reset,
    ):
        yield Twins(CatalogStore(database), OwnerCatalogStore(database), reset)


@FEW_EXAMPLES
@given(
    given_products=st.lists(products, max_size=8, unique_by=lambda product: product.name),
    data=st.data(),
)
def test_a_page_is_that_of_sqlite(
    empty: Twins, tmp_path_factory: pytest.TempPathFactory, given_products: list[Product], data: st.DataObject
) -> None:
    empty.reset()
    file = tmp_path_factory.mktemp("twin") / "catalog.db"
    create_private(file)
    all_names = [product.name for product in given_products]
    with closing(SqliteCatalog(file)) as sqlite, closing(SqliteOwner(file)) as owner:
        sqlite.migrate()
        assert sqlite.load(given_products) == empty.postgres.load(given_products) is True
        for name in data.draw(st.lists(st.sampled_from(all_names), max_size=2, unique=True)) if all_names else []:
            assert owner.retire(name, f"gone-{all_names.index(name)}")
            assert empty.owner.retire(name, f"gone-{all_names.index(name)}")
        some = data.draw(st.sampled_from(["", *all_names]))
        q = data.draw(st.sampled_from(["", some[1:3], some.upper(), some.swapcase()]))
        after, limit = data.draw(st.sampled_from(["", *all_names])), data.draw(st.integers(1, 5))
        assert empty.postgres.products(q=q, after=after, limit=limit) == sqlite.products(q=q, after=after, limit=limit)
        assert empty.postgres.lookup(all_names) == sqlite.lookup(all_names)
        last = data.draw(st.sampled_from([None, *((product.quantity, product.name) for product in given_products)]))
        for retired in (False, True):
            ours, theirs = (
                store.stock(q=q, retired=retired, after=last, limit=limit) for store in (empty.owner, owner)
            )
            assert ours == theirs


@pytest.mark.parametrize("price_cents", [0, 1, 5, 9, 10, 11, 90, 99, 100, 101, 110, 2000, 2599, 10**11 - 1, 10**11])
def test_a_price_is_written_as_in_json(
    catalog: CatalogStore, owner_catalog: OwnerCatalogStore, price_cents: int
) -> None:
    owner_catalog.price("Bird", price_cents, "k")
    [price] = [str(price_cents // 100) + "." + f"{price_cents % 100:02d}"]
    price = price[:-1] if price.endswith("0") else price
    assert catalog.products(limit=1).startswith(b'{"data": [{"name": "Bird", "price": %s, "quan' % price.encode())


def test_an_empty_page_has_no_next(catalog: CatalogStore) -> None:
    assert catalog.products(after="Whale", limit=10) == b'{"data": [], "next": null}'
    assert catalog.products(q="nobody sells this", limit=10) == b'{"data": [], "next": null}'


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ((catalog_module._PAGE, {"q": "", "after": "Product-5", "limit": 10}), "products_pkey"),
        ((catalog_module._PRODUCTS, {"names": ["Product-5", "Product-77"]}), "products_pkey"),
        (catalog_module.lock_products(["Product-5", "Product-77"]), "products_pkey"),
        (
            (catalog_module._OUTCOMES, {"keys": ["a", "b"], "reason": "sold"}),
            "a_key_is_sold_at_most_once",
        ),
        ((catalog_module._NEWEST_SOLD, {"limit": 256}), "stock_ledger_pkey"),
    ],
)
def test_a_statement_of_a_large_catalog_reads_by_an_index(
    store_address: str, owner_catalog: OwnerCatalogStore, statement: tuple[str, dict[str, object]], index: str
) -> None:
    sql, values = statement
    with psycopg.connect(store_address, autocommit=True, options="-c search_path=catalog") as shell:
        shell.execute(
            "INSERT INTO stock_ledger (product, delta, balance, reason, price_cents)"
            " SELECT 'Product-' || number, 1, 1, 'initial', 1 FROM generate_series(1, 5000) AS number"
        )
        shell.execute(
            "INSERT INTO stock_ledger (product, delta, balance, reason, price_cents, key)"
            " SELECT name, -1, 0, 'sold', 1, 'key of ' || name FROM products WHERE quantity = 1"
        )
        shell.execute("VACUUM ANALYZE")
        plan = "\n".join(str(line) for (line,) in shell.execute(b"EXPLAIN " + to_psycopg(sql), values))
    assert index in plan, plan
    assert "Seq Scan on products" not in plan, plan
    assert "Seq Scan on stock_ledger" not in plan, plan
