"""The page of the takings: pieces and revenue by product and day, net of returns, and the same as CSV and chart."""

import csv
import io
from pathlib import Path

import pytest

from domain.checkout import Checkout
from domain.returns import Return
from domain.values import Buy
from tests.support.desk import PROGRAM, DeskClient, column
from tests.support.forgery import forge
from wsgi_apps.pages.desk import takings
from wsgi_apps.pages.desk.formats import sentence
from wsgi_apps.pages.desk.rules import Services

RANGE = "from=2026-11-01&to=2026-11-30"


@pytest.fixture(autouse=True)
def sales(checkout: Checkout, services: Services, tmp_path: Path) -> None:
    """Sales on two days in November. A piece of the first is given back on the second day."""
    for key, product, quantity in (("a", "Tux", 2), ("b", "Bird", 1), ("c", "Tux", 3)):
        checkout.place(Buy(key, product, quantity))
    services.returns.give_back(Return("back", 0, 1))
    for key, day in (("a", 10), ("b", 10), ("c", 12)):
        forge(tmp_path / "order.db", f"UPDATE orders SET time = '2026-11-{day}T23:59:59.999Z' WHERE key = '{key}';")
    forge(tmp_path / "order.db", "UPDATE returns SET time = '2026-11-12T00:00:00.000Z';")


def test_the_tables_are_by_product_and_by_day_net_of_returns(desk: DeskClient) -> None:
    by_product, by_day = desk.get(f"/takings?{RANGE}").tables
    assert column(by_product, "Product") == ["Tux", "Bird", "Total"]
    assert column(by_product, "Sold") == ["5", "1", "6"]
    assert column(by_product, "Given back") == ["1", "0", "1"]
    assert column(by_product, "Net pieces") == ["4", "1", "5"]
    assert column(by_product, "Net revenue") == ["103.96\xa0EUR", "39.99\xa0EUR", "143.95\xa0EUR"]
    assert column(by_day, "Day") == ["2026-11-12", "2026-11-10", "Total"]
    assert column(by_day, "Net revenue") == ["51.98\xa0EUR", "91.97\xa0EUR", "143.95\xa0EUR"]


def test_the_chart_has_the_numbers_of_the_table_and_the_days_between(desk: DeskClient) -> None:
    page = desk.get("/takings?from=2026-11-10&to=2026-11-12")
    bars = [tag for tag, values in page.tags if tag == "rect"]
    assert len(bars) == 3
    for title in ("2026-11-10: 91.97\xa0EUR, 3 pieces", "2026-11-11: 0.00\xa0EUR", "2026-11-12: 51.98\xa0EUR"):
        assert title in page.text


def test_a_range_includes_both_days(desk: DeskClient) -> None:
    assert desk.json("/takings?from=2026-11-12&to=2026-11-12")["data"]["total"]["sold"] == 3
    assert desk.json("/takings?from=2026-11-10&to=2026-11-12")["data"]["total"]["sold"] == 6
    assert "Nothing was sold or given back" in desk.get("/takings?from=2026-11-13&to=2026-11-30").text


def test_takings_may_be_of_one_product(desk: DeskClient) -> None:
    assert desk.json(f"/takings?{RANGE}&product=Bird")["data"]["total"]["net_revenue_cents"] == 3999
    [by_product, _] = desk.get(f"/takings?{RANGE}&product=Bird").tables
    assert column(by_product, "Product") == ["Bird", "Total"]


def test_a_long_range_is_by_month(desk: DeskClient) -> None:
    page = desk.get("/takings?from=2026-01-01&to=2026-12-31")
    assert column(page.tables[1], "Month") == ["2026-11", "Total"]
    assert len([tag for tag, _ in page.tags if tag == "rect"]) == 1
    assert "by_month" in desk.json("/takings?from=2026-01-01&to=2026-12-31")["data"]


def test_a_month_without_a_sale_has_a_place_in_the_chart(desk: DeskClient, tmp_path: Path) -> None:
    forge(tmp_path / "order.db", "UPDATE orders SET time = '2025-12-31T08:00:00.000Z' WHERE key = 'a';")
    page = desk.get("/takings?from=1970-01-01&to=9998-12-31")
    assert column(page.tables[1], "Month") == ["2026-11", "2025-12", "Total"]
    assert len([tag for tag, _ in page.tags if tag == "rect"]) == 12
    assert "2026-01: 0.00" in page.text


def test_a_long_list_of_products_is_cut_and_its_total_is_not(desk: DeskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takings, "MAX_PRODUCTS", 1)
    page = desk.get(f"/takings?{RANGE}")
    assert column(page.tables[0], "Product") == ["Tux", "Total"]
    assert column(page.tables[0], "Net pieces")[-1] == "5"
    assert "1 more products" in page.text


def test_without_a_range_the_last_thirty_days_are_shown(desk: DeskClient) -> None:
    page = desk.get("/takings")
    fields = page.forms[1].fields
    assert sorted(fields) == ["from", "product", "to"]
    assert fields["from"] < fields["to"]
    assert [link for link in page.links if link.startswith(f"/takings?from={fields['from']}&to={fields['to']}")]


def test_a_program_reads_takings_as_json(desk: DeskClient) -> None:
    data = desk.json(f"/takings?{RANGE}")["data"]
    assert data["by_product"][0] == {
        "name": "Tux",
        "sold": 5,
        "revenue_cents": 12995,
        "returned": 1,
        "refunded_cents": 2599,
        "net_quantity": 4,
        "net_revenue_cents": 10396,
        "net_revenue": 103.96,
    }
    assert [line["name"] for line in data["by_day"]] == ["2026-11-12", "2026-11-10"]
    assert (data["from"], data["to"], data["product"]) == ("2026-11-01", "2026-11-30", None)


def test_the_csv_has_a_row_for_each_day_and_product(desk: DeskClient) -> None:
    response = desk.client.get(f"/takings.csv?{RANGE}", headers=PROGRAM)
    assert response.headers["Content-Disposition"] == 'attachment; filename="takings.csv"'
    rows = list(csv.reader(io.StringIO(response.get_data().decode("utf-8-sig"), newline="")))
    assert rows[0][:4] == ["day", "product", "sold", "revenue"]
    assert rows[1:] == [
        ["2026-11-12", "Tux", "3", "77.97", "1", "25.99", "2", "51.98"],
        ["2026-11-10", "Bird", "1", "39.99", "0", "0.00", "1", "39.99"],
        ["2026-11-10", "Tux", "2", "51.98", "0", "0.00", "2", "51.98"],
    ]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("from=1969-12-31", "from is not a day such as 2026-11-28"),
        ("from=2026-11-31", "from is not a day such as 2026-11-28"),
        ("from=2026-11-28&to=2026-11-27", "to, 2026-11-27, is before from, 2026-11-28"),
    ],
)
def test_a_wrong_range_is_named_beside_the_form_that_keeps_it(desk: DeskClient, query: str, problem: str) -> None:
    page = desk.get(f"/takings?{query}", 400)
    assert page.only("problem") == sentence(problem)
    assert page.forms[1].fields["from"] == query[5:15]
    assert desk.json(f"/takings?{query}", 400)["error"]["message"] == problem
