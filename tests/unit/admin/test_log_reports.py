"""The commands `orders` and `report`: what they select, and their table, CSV and JSON."""

import csv
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from admin import log_reports
from admin.program import main
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.owner_orders import OwnerOrderStore
from domain.errors import Unavailable
from domain.owner import BuysPage, LogCursor, Selection
from domain.returns import Return, Returns
from tests.support.forgery import forge
from tests.unit.admin.conftest import Run

DAYS = {"a": "2024-11-27T23:59:59.999Z", "b": "2024-11-28T00:00:00.000Z", "c": "2024-11-29T12:00:00.000Z"}


@pytest.fixture
def days(store: Path, orders: OrderStore, catalog: CatalogStore) -> Path:
    """The store with a day for each buy: orders a and b, of which b gave a piece back on the 29th, and refused c."""
    Returns(orders, catalog).give_back(Return("back", 1, 1))
    for key, time in DAYS.items():
        for table in ("orders", "refused"):
            forge(store / "order.db", f"UPDATE {table} SET time = '{time}' WHERE key = '{key}'")
    forge(store / "order.db", "UPDATE returns SET time = '2024-11-29T13:00:00.000Z'")
    return store


def keys(run: Run, *arguments: str) -> list[str]:
    """Returns the keys of the orders that are printed."""
    code, out, _ = run("orders", "--json", *arguments)
    assert code == 0
    return [order["key"] for order in json.loads(out)["orders"]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["c", "b", "a"]),
        (["--since", "2024-11-28"], ["c", "b"]),
        (["--until", "2024-11-28"], ["b", "a"]),
        (["--since", "2024-11-28", "--until", "2024-11-28"], ["b"]),
        (["--until", "9999-12-31"], ["c", "b", "a"]),
        (["--product", "Bird"], []),
        (["--product", "Tux", "--limit", "2"], ["c", "b"]),
        (["--key", "b"], ["b"]),
        (["--number", "0"], ["a"]),
        (["--number", "-1"], ["c"]),
        (["--today"], []),
    ],
)
def test_orders_are_of_the_selection(days: Path, run: Run, arguments: list[str], expected: list[str]) -> None:
    assert keys(run, *arguments) == expected


def test_today_is_the_day_in_utc(run: Run, store: Path) -> None:
    now = datetime.now(UTC)
    if now.hour == 23 and now.minute == 59:  # the day may end during the test
        forge(store / "order.db", f"UPDATE orders SET time = '{now:%Y-%m-%d}T12:00:00.000Z'")
    assert {"a", "b"} <= set(keys(run, "--today"))
    assert json.loads(run("report", "--today", "--json")[1])["total"]["sold"] == 3


def test_orders_as_json_are_those_of_the_desk(days: Path, run: Run) -> None:
    refused, order, _ = json.loads(run("orders", "--json")[1])["orders"]
    assert order == {
        "order_number": "1",
        "name": "Tux",
        "quantity": 2,
        "price": 25.99,
        "price_cents": 2599,
        "total": 51.98,
        "total_cents": 5198,
        "returned": 1,
        "refused_because": None,
        "key": "b",
        "time": DAYS["b"],
    }
    assert (refused["order_number"], refused["price_cents"]) == ("-1", None)
    assert refused["refused_because"] == "out of stock"


def test_orders_as_a_table_say_what_they_cost_and_why_they_were_refused(days: Path, run: Run) -> None:
    code, out, err = run("orders")
    assert (code, err) == (0, "")
    lines = [line for line in out.splitlines() if line.startswith("│")]
    for line, texts in zip(
        lines, [("-1", "1,000", "out of stock", "c"), ("1", "25.99", "51.98", "b"), ("0", "25.99", "a")], strict=True
    ):
        assert [text for text in texts if text not in line] == []
    assert "time (UTC)" in out


def test_a_table_ends_with_the_limit_and_says_so(days: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There are more" not in run("orders")[1]
    assert "There are more" in run("orders", "--limit", "2")[1]
    monkeypatch.setattr(log_reports, "TABLE_ROWS", 2)
    out = run("orders")[1]
    assert "There are more: --limit prints so many, --csv and --json all." in out
    assert DAYS["a"] not in out
    assert DAYS["a"] in run("orders", "--limit", "3")[1]


def test_orders_of_many_pages_are_one_file(days: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reports, "PAGE_ROWS", 1)
    assert keys(run) == ["c", "b", "a"]
    assert [row[-1] for row in csv_of(["orders", "--csv"], monkeypatch)] == ["key", "c", "b", "a"]


def test_orders_as_csv_are_rows_that_programs_read(days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = csv_of(["orders", "--csv"], monkeypatch)
    assert rows[0] == ["time", "number", "product", "pieces", "price", "total", "returned", "refused", "key"]
    assert rows[1:] == [
        [DAYS["c"], "-1", "Tux", "1000", "", "", "0", "out of stock", "c"],
        [DAYS["b"], "1", "Tux", "2", "25.99", "51.98", "1", "", "b"],
        [DAYS["a"], "0", "Tux", "1", "25.99", "25.99", "0", "", "a"],
    ]


def test_a_key_that_a_spreadsheet_would_calculate_is_a_text(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forge(store / "order.db", "UPDATE orders SET key = '=HYPERLINK(1)' WHERE number = 1")
    assert csv_of(["orders", "--csv", "--number", "1"], monkeypatch)[1][-1] == "'=HYPERLINK(1)"


def csv_of(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Runs the program with a standard output that is a file, and returns the rows of the CSV in it."""
    raw = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(raw, "utf-8", newline=""))
        assert main(arguments) == 0
        sys.stdout.flush()
        content = raw.getvalue()
    assert content.startswith("\ufefftime".encode()) or content.startswith("\ufeffday".encode())
    assert content.count(b"\r\n") == content.count(b"\n")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


class Terminal(io.TextIOWrapper):
    """A standard output that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_csv_without_what_controls_it(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forge(store / "order.db", "UPDATE orders SET key = char(27) || '[2J' WHERE number = 1")
    raw = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Terminal(raw, "utf-8"))
        assert main(["orders", "--csv", "--number", "1"]) == 0
        sys.stdout.flush()
        content = raw.getvalue()
    assert b"\x1b" not in content
    assert b"\\x1b[2J" in content
    assert content.startswith(b"time,number")


def test_a_report_has_a_line_for_each_day_and_product_and_their_sum(days: Path, run: Run) -> None:
    report = json.loads(run("report", "--json")[1])
    assert [(line["day"], line["product"], line["sold"], line["returned"]) for line in report["takings"]] == [
        ("2024-11-29", "Tux", 0, 1),
        ("2024-11-28", "Tux", 2, 0),
        ("2024-11-27", "Tux", 1, 0),
    ]
    assert report["total"] == {
        "sold": 3,
        "revenue_cents": 7797,
        "returned": 1,
        "refunded_cents": 2599,
        "net_quantity": 2,
        "net_revenue_cents": 5198,
        "net_revenue": 51.98,
    }
    out = run("report")[1]
    [total] = [line for line in out.splitlines() if "total" in line]
    assert [cell.strip() for cell in total.strip("│").split("│")] == [
        "total",
        "",
        "3",
        "77.97",
        "1",
        "25.99",
        "2",
        "51.98",
    ]


def test_a_report_by_day_or_product_adds_the_others_up(days: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    forge(days / "order.db", "UPDATE orders SET product = 'Bird', price_cents = 5000 WHERE key = 'a'")
    by_day = json.loads(run("report", "--by", "day", "--json", "--until", "2024-11-28")[1])
    assert [(line["day"], line["sold"]) for line in by_day["takings"]] == [("2024-11-28", 2), ("2024-11-27", 1)]
    assert "product" not in by_day["takings"][0]
    by_product = json.loads(run("report", "--by", "product", "--json")[1])
    assert [(line["product"], line["revenue_cents"]) for line in by_product["takings"]] == [
        ("Bird", 5000),
        ("Tux", 5198),
    ]
    assert "product" in run("report", "--by", "product")[1]
    assert csv_of(["report", "--by", "day", "--csv", "--since", "2024-11-28"], monkeypatch) == [
        ["day", "sold", "revenue", "returned", "refunded", "net pieces", "net revenue"],
        ["2024-11-29", "0", "0.00", "1", "25.99", "-1", "-25.99"],
        ["2024-11-28", "2", "51.98", "0", "0.00", "2", "51.98"],
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["orders", "--since", "2024-02-30"], "'2024-02-30' is not a day such as 2026-11-28"),
        (["orders", "--since", "2024-11-28", "--until", "2024-11-27"], "2024-11-27 is before --since, 2024-11-28"),
        (["report", "--since", "2024-11-28", "--until", "2024-11-27"], "2024-11-27 is before --since, 2024-11-28"),
        (["orders", "--since", "20241128"], "'20241128' is not a day such as 2026-11-28"),
        (["orders", "--today", "--since", "2024-11-28"], "not allowed with argument --today"),
        (["orders", "--csv", "--json"], "not allowed with argument --json"),
        (["orders", "--limit", "0"], "the number of rows '0' is not a whole number above 0"),
        (["orders", "--number", "-2"], "the number '-2' is not a whole number"),
        (["report", "--by", "month"], "invalid choice"),
        (["report", "--key", "k"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_is_named(run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


def test_a_folder_without_an_order_log_is_named(run: Run, store: Path) -> None:
    for file in store.glob("order.db*"):
        file.unlink()
    for command in ("orders", "report"):
        code, _, err = run(command)
        assert code == 2
        assert "order.db does not exist" in err


def test_nothing_is_read_any_more_when_nobody_reads_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(OwnerOrderStore):
        """A log without an end."""

        def __init__(self) -> None:
            self.pages = 0

        def logged_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> BuysPage:
            self.pages += 1
            return BuysPage((), LogCursor(1, "", ""))

    log = Endless()
    monkeypatch.setattr(log_reports, "lost_output", lambda: OSError() if log.pages == 3 else None)
    assert len(list(log_reports._pages(log, Selection(), None))) == 3


def test_a_log_that_cannot_be_read_now_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_arguments: object, **_options: object) -> BuysPage:
        raise Unavailable from apsw.BusyError()

    monkeypatch.setattr(OwnerOrderStore, "logged_buys", unavailable)
    code, _, err = run("orders")
    assert code == 2
    assert "the store is busy, try again" in err
