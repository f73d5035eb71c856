"""The page of the orders and its CSV: newest first, refused ones as −1, any selection, and no formula."""

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from db.sqlite.owner_catalog import OwnerCatalogStore
from db.sqlite.owner_orders import OwnerOrderStore
from domain.checkout import Checkout
from domain.errors import Refused, Unavailable
from domain.owner import BuysPage, LogCursor, Selection
from domain.owner_csv import ORDER_COLUMNS
from domain.returns import Return, Returns
from domain.values import Buy, Product
from tests.support.desk import PROGRAM, DeskClient, column
from tests.support.forgery import forge
from wsgi_apps.pages.desk import csv_export
from wsgi_apps.pages.desk.csv_export import TRIES, stream_orders
from wsgi_apps.pages.desk.formats import sentence

BOUGHT = [("a", "Tux", 2), ("b", "Bird", 1), ("no", "Nix", 1), ("c", "Tux", 3)]


@pytest.fixture
def log(checkout: Checkout, tmp_path: Path) -> None:
    """The orders of BOUGHT, a day each."""
    for key, product, quantity in BOUGHT:
        with suppress(Refused):
            checkout.place(Buy(key, product, quantity))
    for day, (key, _, _) in enumerate(BOUGHT, start=25):
        time = f"2026-11-{day}T08:00:00.000Z"
        for table in ("orders", "refused"):
            forge(tmp_path / "order.db", f"UPDATE {table} SET time = '{time}' WHERE key = '{key}';")


def rows_of(response: TestResponse) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    text = response.get_data().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def export(desk: DeskClient, query: str = "") -> list[dict[str, str]]:
    return rows_of(desk.client.get(f"/orders.csv{query}", headers=PROGRAM))


def test_the_newest_order_is_at_the_top_and_refused_ones_are_minus_one(desk: DeskClient, log: None) -> None:
    [table] = desk.get("/orders").tables
    assert column(table, "Number") == ["2", "−1", "1", "0"]
    assert column(table, "Result") == ["sold", "refused: product not found", "sold", "sold"]
    assert column(table, "Total") == ["77.97\xa0EUR", "–", "39.99\xa0EUR", "51.98\xa0EUR"]
    assert column(table, "Key") == ["c", "no", "b", "a"]
    assert column(table, "Time")[0] == "2026-11-28 08:00:00"


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("number=1", ["b"]),
        ("number=-1", ["no"]),
        ("number=%E2%88%921", ["no"]),
        ("product=Tux", ["c", "a"]),
        ("key=b", ["b"]),
        ("from=2026-11-26", ["c", "no", "b"]),
        ("to=2026-11-26", ["b", "a"]),
        ("from=2026-11-26&to=2026-11-26", ["b"]),
        ("product=Tux&from=2026-11-26", ["c"]),
        ("number=&product=&key=&from=&to=", ["c", "no", "b", "a"]),
        ("number=7", []),
    ],
)
def test_a_selection_is_the_same_as_page_json_and_csv(desk: DeskClient, log: None, query: str, keys: list[str]) -> None:
    page = desk.get(f"/orders?{query}")
    assert [column(table, "Key") for table in page.tables] == ([keys] if keys else [])
    assert [buy["key"] for buy in desk.json(f"/orders?{query}")["data"]] == keys
    assert [row["key"] for row in export(desk, f"?{query}")] == keys


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("number=x", "the number is not that of an order, or -1 for the refused buys"),
        ("from=yesterday", "from is not a day such as 2026-11-28"),
        ("to=2026-02-30", "to is not a day such as 2026-11-28"),
        ("to=0001-01-01", "to is not a day such as 2026-11-28"),
        ("to=9999-12-31", "to is not a day such as 2026-11-28"),
        ("from=2026-11-28&to=2026-11-27", "to, 2026-11-27, is before from, 2026-11-28"),
    ],
)
def test_a_wrong_selection_is_named_beside_the_form_that_keeps_it(desk: DeskClient, query: str, problem: str) -> None:
    page = desk.get(f"/orders?{query}", 400)
    assert page.only("problem") == sentence(problem)
    fields = page.forms[1].fields
    assert all(fields[name] == value for name, value in (pair.split("=") for pair in query.split("&")))
    assert desk.json(f"/orders?{query}", 400)["error"]["message"] == problem
    assert desk.client.get(f"/orders.csv?{query}", headers=PROGRAM).status_code == 400


def test_pages_follow_one_another_though_orders_come_in_between(
    desk: DeskClient, log: None, checkout: Checkout
) -> None:
    first = desk.get("/orders?limit=2")
    [older] = [values["href"] for _, values in first.tags if values.get("rel") == "next"]
    assert older is not None
    checkout.place(Buy("later", "Tux", 1))
    assert column(desk.get(older).tables[0], "Key") == ["b", "a"]
    second = desk.json("/orders?limit=2")
    assert [buy["key"] for buy in second["data"]] == ["later", "c"]


def test_a_program_reads_orders_as_json(desk: DeskClient, log: None) -> None:
    sold, refused, *_ = desk.json("/orders")["data"]
    assert (sold["order_number"], sold["name"], sold["quantity"]) == ("2", "Tux", 3)
    assert (sold["price"], sold["price_cents"], sold["total"], sold["total_cents"]) == (25.99, 2599, 77.97, 7797)
    assert (refused["order_number"], refused["price"], refused["refused_because"]) == ("-1", None, "product not found")


def test_the_csv_has_all_columns_as_a_spreadsheet_reads_them(
    desk: DeskClient, log: None, services_returns: Returns
) -> None:
    services_returns.give_back(Return("back", 0, 1))
    response = desk.client.get("/orders.csv", headers=PROGRAM)
    assert response.content_type.startswith("text/csv; charset=utf-8")
    assert response.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'
    assert response.get_data().startswith("\ufefftime,number,product".encode())
    *_, refused, _, order = rows_of(response)
    assert list(order) == list(ORDER_COLUMNS)
    assert list(order.values()) == ["2026-11-25T08:00:00.000Z", "0", "Tux", "2", "25.99", "51.98", "1", "", "a"]
    assert list(refused.values())[1:] == ["-1", "Nix", "1", "", "", "0", "product not found", "no"]


@pytest.fixture
def services_returns(desk: DeskClient, services: object) -> Returns:
    returns = services.returns  # type: ignore[attr-defined]
    assert isinstance(returns, Returns)
    return returns


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1"])
def test_no_cell_is_a_formula(
    desk: DeskClient, owner_catalog: OwnerCatalogStore, checkout: Checkout, name: str
) -> None:
    owner_catalog.add(Product(name, 100, 5), "k")
    checkout.place(Buy("=cmd|calc", name, 1))
    [row] = export(desk)
    assert (row["product"], row["key"]) == (f"'{name}", "'=cmd|calc")


def test_a_head_of_the_csv_reads_one_page_and_sends_nothing(desk: DeskClient, log: None) -> None:
    response = desk.client.head("/orders.csv", headers=PROGRAM)
    assert (response.status_code, response.get_data()) == (200, b"")


class Flaky:
    """An order log that is away for some calls, between two pages."""

    def __init__(self, store: OwnerOrderStore, failures: int) -> None:
        self._store = store
        self.failures = failures
        self.calls = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def logged_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> BuysPage:
        self.calls += 1
        if before is not None and self.failures:
            self.failures -= 1
            raise Unavailable
        return self._store.logged_buys(selection, before=before, limit=limit)


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_export, "PAGE_ROWS", 1)


def keys(chunks: Iterator[bytes]) -> list[str]:
    text = b"".join(chunks).decode("utf-8-sig")
    return [row["key"] for row in csv.DictReader(io.StringIO(text, newline=""))]


def test_an_export_goes_on_after_the_order_tier_was_away(
    owner_orders: OwnerOrderStore, log: None, short_pages: None
) -> None:
    pauses: list[float] = []
    flaky = Flaky(owner_orders, TRIES - 1)
    assert keys(stream_orders(flaky, Selection(), pauses.append)) == ["c", "no", "b", "a"]  # type: ignore[arg-type]
    assert len(pauses) == TRIES - 1


def test_an_export_breaks_off_when_the_order_tier_stays_away(
    owner_orders: OwnerOrderStore, log: None, short_pages: None
) -> None:
    chunks = stream_orders(Flaky(owner_orders, TRIES), Selection(), lambda _: None)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        list(chunks)


def test_an_export_has_no_order_twice_and_misses_none_while_others_buy(
    owner_orders: OwnerOrderStore, log: None, short_pages: None, checkout: Checkout
) -> None:
    chunks = stream_orders(owner_orders, Selection())
    found = [next(chunks), next(chunks)]
    checkout.place(Buy("later", "Tux", 1))
    assert keys(iter([*found, *chunks])) == ["c", "no", "b", "a"]


def test_an_export_reads_no_further_when_the_client_goes_away(
    owner_orders: OwnerOrderStore, log: None, short_pages: None
) -> None:
    counted = Flaky(owner_orders, 0)
    chunks = stream_orders(counted, Selection())  # type: ignore[arg-type]
    next(chunks), next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert counted.calls == 2, "a page for each chunk, of four"
    assert list(chunks) == []
