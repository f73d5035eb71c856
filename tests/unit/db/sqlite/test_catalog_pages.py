"""Pages of products and the search: their bytes, and the number of rows that SQLite reads for them."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.sqlite import catalog as catalog_module
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from db.sqlite.snapshots import CATALOG
from domain.errors import Invalid
from domain.values import MAX_NAME_CHARACTERS, MAX_PRICE_CENTS, MAX_STOCK, Product, fold, parse_name
from tests.support.audit import findings
from tests.support.books import query
from tests.support.earlier_schemas import older
from tests.support.pages import read_page
from wsgi_apps.queries import MAX_LIMIT
from wsgi_apps.wire import MAX_PAGE_BYTES, decode_page, encode_product

PAGE: str = catalog_module._PAGE


@contextmanager
def store_of(*products: Product, retired: frozenset[str] = frozenset()) -> Iterator[CatalogStore]:
    """Yields a new store with these products. Hypothesis needs one for each example."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "catalog.db")
        with closing(CatalogStore(path)) as store, closing(ProductAdmin(path)) as owner:
            store.migrate()
            store.load(products)
            for name in retired:
                owner.retire(name, name.encode().hex()[:128])
            yield store


def is_name(text: str) -> bool:
    try:
        parse_name(text)
    except Invalid:
        return False
    return True


# Few letters, so that names have parts in common: letters whose case folds to another length or to a letter with a
# mark, the wildcards of LIKE, GLOB and full-text search, and characters that JSON escapes.
LETTERS = "aAbBßẞİiıIéÉe\u0301ΣςσǰJ\u030cﬁ%_*?[]\"'\\^- \U0001f427"
names = st.text(LETTERS, min_size=1, max_size=8).map(parse_name).filter(is_name)
any_names = st.text(min_size=1, max_size=MAX_NAME_CHARACTERS).filter(is_name).map(parse_name).filter(is_name)


def test_products_come_in_pages_by_name(catalog: CatalogStore) -> None:
    first = read_page(catalog.products(limit=3))
    assert (first.names, first.after) == (["Bird", "Elephant", "Tux"], "Tux")
    rest = read_page(catalog.products(limit=3, after="Tux"))
    assert (rest.names, rest.after) == (["Whale"], None)


def test_a_full_last_page_has_no_next(catalog: CatalogStore) -> None:
    assert read_page(catalog.products(limit=4)).after is None
    assert read_page(catalog.products(q="ir", limit=1)).after is None


def test_a_page_beyond_the_last_name_is_empty(catalog: CatalogStore) -> None:
    assert catalog.products(after="Whale", limit=10) == b'{"data": [], "next": null}'
    assert catalog.products(q="nobody sells this", limit=10) == b'{"data": [], "next": null}'


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("éL\u00c9", ["\u00c9l\u00e9phant"]),
        ("%", ["100%"]),
        ("_", ["a_b"]),
        ("*", ["2*3"]),
        ("[a-z]", ["[a-z]"]),
        ('"', ['6" nail']),
        ('a" OR "b', []),
        ("STRASSE", ["straße"]),
        ("ẞ", ["straße"]),
        ("istanbul", ["\u0130stanbul"]),
        ("\u0130STANBUL", ["\u0130stanbul"]),
        ("σίσυφος", ["ΣΊΣΥΦΟΣ"]),
        ("J\u030cUMP", ["ǰump"]),
    ],
)
def test_a_search_ignores_case_in_every_script_and_has_no_wildcards(q: str, found: list[str]) -> None:
    names = ["Éléphant", "100%", "a_b", "2*3", "[a-z]", '6" nail', "straße", "İstanbul", "ΣΊΣΥΦΟΣ", "ǰump", "zzz"]
    with store_of(*(Product(name, 1, 1) for name in names)) as store:
        assert read_page(store.products(q=parse_name(q), limit=10)).names == found


@settings(max_examples=100)
@given(st.lists(names, min_size=1, max_size=12, unique=True), st.data())
def test_a_search_finds_every_name_that_contains_it_page_by_page(given_names: list[str], data: st.DataObject) -> None:
    retired = frozenset(data.draw(st.lists(st.sampled_from(given_names), max_size=3)))
    some = data.draw(st.sampled_from(given_names))
    begin, size = data.draw(st.integers(0, len(some) - 1)), data.draw(st.integers(1, 4))
    # Mostly a part of a name, perhaps in another case.
    part = some[begin : begin + size]
    q = data.draw(st.sampled_from([part, part.upper(), part.lower(), part.swapcase()]) | names | st.just(""))
    after, limit = data.draw(st.sampled_from(["", *given_names])), data.draw(st.integers(1, 4))
    expected = [name for name in sorted(given_names) if name > after and name not in retired and fold(q) in fold(name)]
    found: list[str] = []
    with store_of(*(Product(name, 1, 1) for name in given_names), retired=retired) as store:
        while True:
            page = read_page(store.products(q=q, after=after, limit=limit))
            found += page.names
            assert len(page.names) == limit or page.after is None
            if page.after is None:
                break
            assert page.after == page.names[-1]
            after = page.after
    assert found == expected


@settings(max_examples=200)
@given(any_names, st.integers(0, MAX_PRICE_CENTS), st.integers(0, MAX_STOCK))
def test_a_page_is_byte_for_byte_the_json_of_its_products(name: str, price_cents: int, quantity: int) -> None:
    products = [Product(name, price_cents, quantity), Product(f"{name[:60]}~", price_cents // 100, 0)]
    with store_of(*products) as store:
        products.sort(key=lambda product: product.name)
        for limit, after in ((1, products[0].name), (2, None)):
            body = {"data": [encode_product(product) for product in products[:limit]], "next": after}
            assert store.products(limit=limit) == json.dumps(body, ensure_ascii=False).encode()


@pytest.mark.parametrize("price_cents", [0, 1, 5, 9, 10, 11, 90, 99, 100, 101, 110, 2000, 2599, 10**11 - 1, 10**11])
def test_a_price_is_written_as_in_json(price_cents: int) -> None:
    with store_of(Product("Tux", price_cents, 1)) as store:
        page = f'{{"data": [{{"name": "Tux", "price": {json.dumps(price_cents / 100)}, "quantity": 1}}], "next": null}}'
        assert store.products(limit=1) == page.encode()


def test_the_front_end_accepts_the_largest_page() -> None:
    longest = ["\U0001f427" * (MAX_NAME_CHARACTERS - 4) + f"{number:04d}" for number in range(MAX_LIMIT)]
    with store_of(*(Product(name, MAX_PRICE_CENTS, MAX_STOCK) for name in longest)) as store:
        page = store.products(limit=MAX_LIMIT)
    assert decode_page(page) == page
    assert len(page) < MAX_PAGE_BYTES


def test_a_page_is_made_by_sqlite_without_python(catalog: CatalogStore, tmp_path: Path) -> None:
    """A Python function in the query would need the interpreter lock for each row, and delay buys."""
    with closing(apsw.Connection(str(tmp_path / "catalog.db"))) as plain:
        [(page,)] = plain.execute(PAGE, {"q": "wha", "after": "", "limit": 1000}).fetchall()
    assert isinstance(page, bytes)
    assert read_page(page).names == ["Whale"]


@pytest.mark.parametrize("q", ["", "q", "product", "zzzz"])
def test_a_page_uses_the_primary_key_and_no_sorting(tmp_path: Path, catalog: CatalogStore, q: str) -> None:
    with closing(apsw.Connection(str(tmp_path / "catalog.db"))) as plain:
        plan = plain.execute(f"EXPLAIN QUERY PLAN {PAGE}", {"q": q, "after": "", "limit": 100}).fetchall()
    steps = [str(row[3]) for row in plan]
    assert [step for step in steps if "products" in step] == ["SEARCH products USING PRIMARY KEY (name>?)"] * 2
    assert not [step for step in steps if "TEMP" in step or "AUTOMATIC" in step]


def steps_of(path: Path, **values: object) -> int:
    """Counts the steps of SQLite's virtual machine for a page, which measure its work without a clock."""
    with closing(apsw.Connection(str(path))) as plain:
        counted: list[int] = []

        def count(event: dict[str, object]) -> None:
            status = event["stmt_status"]
            assert isinstance(status, dict)
            counted.append(status["SQLITE_STMTSTATUS_VM_STEP"])

        plain.trace_v2(apsw.SQLITE_TRACE_PROFILE, count)
        plain.execute(PAGE, {"q": "", "after": "", "limit": 10, **values}).fetchall()
        return counted[0]


def test_a_page_reads_only_its_rows_and_a_search_reads_each_name_once(tmp_path: Path) -> None:
    steps = {}
    for size in (100, 1_000):
        with closing(CatalogStore(tmp_path / f"{size}.db")) as store:
            store.migrate()
            store.load(Product(f"Product-{number:04d}", 1, 1) for number in range(size))
        for q in ("", "product", "zzzz", "q"):
            steps[size, q] = steps_of(tmp_path / f"{size}.db", q=q)
        steps[size, "last"] = steps_of(tmp_path / f"{size}.db", q="zzzz", after="Product-0095")
    assert steps[100, ""] == steps[1_000, ""]
    assert steps[100, "product"] == steps[1_000, "product"]
    for q in ("zzzz", "q"):
        assert 9 * steps[100, q] < steps[1_000, q] < 10 * steps[100, q]
        assert steps[1_000, q] < 10 * 1_000


def test_a_store_from_before_the_folded_names_is_upgraded(tmp_path: Path) -> None:
    [number] = [at for at, script in enumerate(CATALOG.scripts()) if "folded" in script.name]
    for name in ("Éclair", "STRASSE", "Tux"):
        entry = f"('{name}', 0, 0, 'initial', 1)"
        older(
            tmp_path,
            CATALOG,
            number,
            f"INSERT INTO stock_ledger (product, delta, balance, reason, price_cents) VALUES {entry}",
        )
    with closing(CatalogStore(tmp_path / "catalog.db")) as store:
        store.migrate()
        assert read_page(store.products(q="ÉC", limit=10)).names == ["Éclair"]
        assert read_page(store.products(q="aß", limit=10)).names == ["STRASSE"]


def test_a_product_added_by_hand_is_found_if_sqlite_can_fold_its_name(
    catalog: CatalogStore, orders: OrderStore, tmp_path: Path
) -> None:
    """The audit names a product that a search misses."""
    with closing(apsw.Connection(str(tmp_path / "catalog.db"))) as shell:
        for name in ("DOG", "ÉCLAIR"):
            entry = f"('{name}', 0, 0, 'initial', 1)"
            shell.execute(f"INSERT INTO stock_ledger (product, delta, balance, reason, price_cents) VALUES {entry}")
    assert read_page(catalog.products(q="dOg", limit=10)).names == ["DOG"]
    assert read_page(catalog.products(q="clair", limit=10)).names == ["ÉCLAIR"]
    assert findings(tmp_path) == ["schema ÉCLAIR: is not found by a search, which compares 'Éclair'"]


def test_other_programs_can_read_the_schema(catalog: CatalogStore, tmp_path: Path) -> None:
    """The schema must not use the function `fold`, which other programs lack."""
    schema = query(tmp_path / "catalog.db", "SELECT sql FROM sqlite_schema WHERE sql LIKE '%fold(%'")
    assert schema == []
    with closing(apsw.Connection(str(tmp_path / "catalog.db"))) as plain:
        assert plain.execute("SELECT name FROM products WHERE folded LIKE '%hal%'").get == "Whale"
        assert plain.pragma("integrity_check") == "ok"
