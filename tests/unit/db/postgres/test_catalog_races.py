"""Several transactions at once on the catalog on PostgreSQL: the locks of keys and of products, and their order."""

from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from typing import Any

import psycopg
import pytest

from db.postgres.catalog import SCHEMA, CatalogStore, lock_products
from db.postgres.database import Database
from db.postgres.locks import lock_keys
from db.postgres.owner_catalog import OwnerCatalogStore
from domain.errors import Invalid, KeyReused, OutOfStock, ProductNotFound
from domain.protocols import Sale
from domain.returns import SaleReturn
from domain.values import Buy, Product, Sold
from tests.support.at_once import at_once
from tests.support.lock_waits import others, start

ENTRY = "INSERT INTO catalog.stock_ledger (product, delta, balance, reason, key, price_cents) VALUES"
REFUSAL = "INSERT INTO refused (key, product, quantity, reason) VALUES ('k', 'Nix', 1, 'product not found')"
KEYS_TWICE = "SELECT key FROM catalog.stock_ledger JOIN catalog.refused USING (key)"

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def shell(store_address: str) -> Iterator[Connection]:
    """Another connection to the catalog, in autocommit mode, that waits for no lock."""
    options = "-c search_path=catalog -c lock_timeout=50ms"
    with psycopg.connect(store_address, autocommit=True, options=options) as shell:
        yield shell


@pytest.fixture
def other(store_address: str) -> Iterator[Database]:
    """The same catalog, as another process has it."""
    with closing(Database(store_address, SCHEMA)) as database:
        yield database


def test_a_key_is_never_sold_and_refused_by_two_sellers(
    catalog: CatalogStore, store_address: str, shell: Connection
) -> None:
    """A trigger would not see the row of the other seller, who has not committed yet."""
    with others(store_address, SCHEMA, lock_keys(["k"]), (REFUSAL, {})):
        thread, sales = start(lambda: catalog.sell([Buy("k", "Tux", 1)]), shell)
    thread.join()
    assert sales == [[KeyReused()]]
    assert catalog.product("Tux").quantity == 80


def test_a_key_that_two_sellers_sell_for_two_products_is_sold_once(
    catalog: CatalogStore, other: Database, shell: Connection
) -> None:
    seller = CatalogStore(other)

    def race(number: int) -> list[list[Sale]]:
        store, product = ((catalog, "Tux"), (seller, "Nix"))[number]
        return [store.sell([Buy(f"k{turn}-{key}", product, 1) for key in range(4)]) for turn in range(20)]

    at_tux, at_nix = at_once(race, 2)
    for tux, nix in zip(chain(*at_tux), chain(*at_nix), strict=True):
        assert (tux, nix) in [(Sold(2599), KeyReused()), (KeyReused(), ProductNotFound())]
    assert shell.execute(KEYS_TWICE).fetchall() == []


def test_a_key_of_a_return_that_was_refused_is_locked_too(
    catalog: CatalogStore, store_address: str, shell: Connection
) -> None:
    """Its row of `keys` is there already, while nothing is stored under the key."""
    catalog.take_back([SaleReturn("r", "nix", "Tux", 1)])
    with others(store_address, SCHEMA, lock_keys(["r"])):
        thread, sales = start(lambda: catalog.sell([Buy("r", "Tux", 1)]), shell)
    thread.join()
    assert sales == [[Sold(2599)]]


def test_keys_are_locked_in_their_order(catalog: CatalogStore, store_address: str, shell: Connection) -> None:
    """Who waits for the first key holds no later one. Else two sellers would wait for each other."""
    with others(store_address, SCHEMA, lock_keys(["a"])):
        thread, sales = start(lambda: catalog.sell([Buy("b", "Tux", 1), Buy("a", "Tux", 1)]), shell)
        shell.execute("INSERT INTO keys VALUES ('b')")
    thread.join()
    assert sales == [[Sold(2599)] * 2]


def test_products_are_locked_in_the_order_of_their_names(store_address: str, shell: Connection) -> None:
    """Who waits for the first product holds no later one, even where no index is there to return them in order."""
    without_index = "?options=-c%20enable_indexscan%3Doff%20-c%20enable_bitmapscan%3Doff"
    buys = [Buy("1", "Whale", 1), Buy("2", "Tux", 1), Buy("3", "Bird", 1)]
    with closing(Database(store_address + without_index, SCHEMA)) as database:
        CatalogStore(database).sell([Buy("0", "Bird", 1)])  # its row now stands behind the others
        with others(store_address, SCHEMA, lock_products(["Bird"])):
            thread, sales = start(lambda: CatalogStore(database).sell(buys), shell)
            shell.execute("SELECT 1 FROM products WHERE name IN ('Tux', 'Whale') FOR UPDATE")
        thread.join()
    assert sales == [[Sold(3499), Sold(2599), Sold(3999)]]


def test_sellers_with_products_in_opposite_order_do_not_get_in_each_others_way(
    catalog: CatalogStore, other: Database
) -> None:
    seller = CatalogStore(other)

    def sell(number: int) -> list[list[Sale]]:
        store, names = (catalog, ["Tux", "Bird", "Whale"]) if number % 2 else (seller, ["Whale", "Bird", "Tux"])
        return [store.sell([Buy(f"{number}-{turn}-{name}", name, 1) for name in names]) for turn in range(10)]

    sales = chain(*chain(*at_once(sell, 6)))
    assert all(isinstance(sale, Sold) for sale in sales)
    quantities = [catalog.product(name).quantity for name in ("Tux", "Bird", "Whale")]
    assert quantities == [80 - 60, 98 - 60, 94 - 60]


def test_a_sale_sees_the_stock_as_the_sale_before_left_it(
    catalog: CatalogStore, store_address: str, shell: Connection
) -> None:
    entry = f"{ENTRY} ('Tux', -79, 1, 'sold', 'x', 2599)"
    with others(store_address, SCHEMA, lock_products(["Tux"]), (entry, {})):
        thread, sales = start(lambda: catalog.sell([Buy("a", "Tux", 1), Buy("b", "Tux", 1)]), shell)
    thread.join()
    assert sales == [[Sold(2599), OutOfStock()]]


def test_a_product_that_is_retired_meanwhile_is_not_sold(
    catalog: CatalogStore, store_address: str, shell: Connection
) -> None:
    history = "INSERT INTO product_history (product, what, price_cents, key) VALUES ('Tux', 'retired', 2599, 'gone')"
    with others(store_address, SCHEMA, lock_products(["Tux"]), (history, {})):
        thread, sales = start(lambda: catalog.sell([Buy("a", "Tux", 1)]), shell)
    thread.join()
    assert sales == [[ProductNotFound()]]


def test_an_entry_by_hand_is_compared_with_the_stock_after_the_sale_before(
    catalog: CatalogStore, store_address: str, shell: Connection
) -> None:
    def restock() -> str:
        with psycopg.connect(store_address, autocommit=True) as person:
            try:
                person.execute(f"{ENTRY} ('Tux', 5, 85, 'restock', 'by hand', 2599)".encode())
            except psycopg.Error as error:
                return str(error)
            return "restocked"

    with others(store_address, SCHEMA, lock_products(["Tux"]), (f"{ENTRY} ('Tux', -1, 79, 'sold', 'x', 2599)", {})):
        thread, answers = start(restock, shell)
    thread.join()
    assert "leads from the stock" in str(answers)
    assert catalog.product("Tux").quantity == 79


@pytest.mark.parametrize("threads", [4])
def test_of_several_processes_that_load_at_once_one_loads(store_address: str, shell: Connection, threads: int) -> None:
    shell.execute("SET session_replication_role = replica")
    for table in ("stock_ledger", "product_history", "products"):
        shell.execute(f"DELETE FROM {table}".encode())
    stores = [CatalogStore(Database(store_address, SCHEMA)) for _ in range(threads)]
    loaded = at_once(lambda number: stores[number].load([Product("Cat", 1, 2), Product("Äpfel", 3, 4)]), threads)
    assert sorted(loaded) == [False] * (threads - 1) + [True]
    assert stores[0].lookup(["Cat", "Äpfel"]) == [Product("Cat", 1, 2), Product("Äpfel", 3, 4)]
    assert b"\xc3\x84pfel" in stores[0].products(q="ä", limit=10)
    for store in stores:
        store.close()


def test_a_new_product_is_added_once_by_owners_at_once(owner_catalog: OwnerCatalogStore, other: Database) -> None:
    owners = [owner_catalog, OwnerCatalogStore(other)]
    added = at_once(lambda number: owners[number % 2].add(Product("Cat", 1, 2), "k"), 4)
    assert sorted(added) == [False, False, False, True]


def test_a_return_waits_for_another_one_of_its_sale(
    catalog: CatalogStore, store_address: str, shell: Connection
) -> None:
    catalog.sell([Buy("k", "Tux", 3)])
    returned = "INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents, sale) VALUES"
    row = "('Tux', 2, 79, 'returned', 'r0', 2599, 'k')"
    with others(store_address, SCHEMA, lock_products(["Tux"]), (f"{returned} {row}", {})):
        thread, taken = start(lambda: catalog.take_back([SaleReturn("r1", "k", "Tux", 2)]), shell)
    thread.join()
    assert taken == [[Invalid("the catalog has 1 pieces of the order left to take back, and not 2")]]
    assert catalog.product("Tux").quantity == 79


def test_a_return_waits_for_another_transaction_with_its_key(
    catalog: CatalogStore, store_address: str, shell: Connection
) -> None:
    catalog.sell([Buy("k", "Tux", 3)])
    with others(store_address, SCHEMA, lock_keys(["r"]), (f"{ENTRY} ('Bird', -1, 97, 'sold', 'r', 3999)", {})):
        thread, taken = start(lambda: catalog.take_back([SaleReturn("r", "k", "Tux", 2)]), shell)
    thread.join()
    assert taken == [[KeyReused()]]


def test_a_change_of_the_owner_waits_for_a_sale_of_its_product(
    owner_catalog: OwnerCatalogStore, store_address: str, shell: Connection
) -> None:
    with others(store_address, SCHEMA, lock_products(["Tux"]), (f"{ENTRY} ('Tux', -1, 79, 'sold', 'x', 2599)", {})):
        thread, made = start(lambda: owner_catalog.restock("Tux", 5, "more"), shell)
    thread.join()
    assert made == [True]
    assert owner_catalog.stocked_product("Tux").quantity == 84


def test_a_changed_price_and_a_sale_at_once_keep_the_books(
    catalog: CatalogStore, owner_catalog: OwnerCatalogStore
) -> None:
    def work(number: int) -> None:
        for turn in range(5):
            if number % 2:
                owner_catalog.price("Tux", 100 + turn, f"{number}-{turn}")
                owner_catalog.restock("Tux", 1, f"more {number}-{turn}")
            else:
                [sale] = catalog.sell([Buy(f"{number}-{turn}", "Tux", 1)])
                assert isinstance(sale, Sold)

    at_once(work, 4)
    assert catalog.product("Tux").quantity == 80


def test_names_and_keys_are_compared_by_their_code_points_on_every_server(shell: Connection) -> None:
    """Else pages and their order would follow the locale of the server, and an update of it could break an index."""
    collations = """
        SELECT attrelid::regclass::text, attname, collname FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid JOIN pg_collation ON pg_collation.oid = attcollation
        WHERE relnamespace = 'catalog'::regnamespace AND relkind = 'r' AND relname <> 'migrations'
        AND attname IN ('name', 'product', 'key', 'sale', 'folded', 'time')"""
    rows = shell.execute(collations.encode()).fetchall()
    assert len(rows) == 15
    assert {collation for *_, collation in rows} == {"C"}
