"""The commands `orders` and `report`: the order log and its takings, as a table, as CSV or as JSON.

The orders are printed page by page while they are read, so that a log of any length takes the same memory.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime

from admin.stores.choice import open_store
from admin.tables import print_table
from conf.output import encode_json, lost_output, print_json, visible
from conf.settings import Settings
from domain.csv_rows import BYTE_ORDER_MARK, amount
from domain.owner import BuysPage, LoggedBuy, OrderBooks, Selection, Takings
from domain.owner_csv import SUM_COLUMNS, encode_orders, encode_sums, sum_cells
from domain.owner_json import encode_order, encode_takings_sum
from domain.selections import day_after
from domain.takings import TakingsSum, sorted_by_revenue, sum_takings, sums_by

# Rows that are read and printed at a time.
PAGE_ROWS = 1_000
# Rows of a table, unless --limit says how many: more are for programs.
TABLE_ROWS = 100

_ORDER_HEADER = ("time (UTC)", "number", "product", "pieces", "price", "total", "returned", "refused because", "key")


def orders(given: argparse.Namespace, settings: Settings) -> int:
    """Prints the orders of a selection, the newest first. Refused buys are among them, with the number -1."""
    limit = given.limit
    if limit is None and not (given.csv or given.json):
        limit = TABLE_ROWS
    with open_store(settings).order_books() as books:
        pages = _pages(books, _selection(given), limit)
        if given.csv:
            _print_csv(encode_orders(page.buys, with_header=number == 0) for number, page in enumerate(pages))
        elif given.json:
            _print_as_json(pages)
        else:
            _print_tables(pages)
    return 0


def report(given: argparse.Namespace, settings: Settings) -> int:
    """Prints the takings of a selection: of each day and product, of each day, or of each product."""
    with open_store(settings).order_books() as books:
        takings = books.takings(_selection(given))
    names = ("day", "product") if given.by is None else (given.by,)
    sums, total = _sums(takings, given.by), sum_takings(takings)
    if given.csv:
        _print_csv([encode_sums(names, sums)])
    elif given.json:
        encoded = [dict(zip(names, values, strict=True)) | encode_takings_sum(one) for values, one in sums]
        print_json({"takings": encoded, "total": encode_takings_sum(total)})
    else:
        header = ["day (UTC)" if name == "day" else name for name in names] + list(SUM_COLUMNS)
        rows = [*sums, (("total", *[""] * (len(names) - 1)), total)]
        texts = [[*values, *(f"{cell:,}" for cell in sum_cells(one))] for values, one in rows]
        print_table(header, texts, numbers=range(len(names), len(header)))
    return 0


def _selection(given: argparse.Namespace) -> Selection:
    """Returns the selection of the command line, whose days are both included."""
    since: date | None = datetime.now(UTC).date() if given.today else given.since
    until: date | None = since if given.today else given.until
    return Selection(
        number=getattr(given, "number", None),
        product=given.product,
        key=getattr(given, "buy_key", None),
        since=None if since is None else since.isoformat(),
        until=None if until is None else day_after(until),
    )


def _pages(books: OrderBooks, selection: Selection, limit: int | None) -> Iterator[BuysPage]:
    """Yields the pages of a selection until `limit` rows, or until nobody reads any more. At least one page comes."""
    left, before = limit, None
    while True:
        page = books.logged_buys(selection, before=before, limit=PAGE_ROWS if left is None else min(left, PAGE_ROWS))
        yield page
        before = page.next
        if left is not None:
            left -= len(page.buys)
        if before is None or left == 0 or lost_output() is not None:
            return


def _print_tables(pages: Iterable[BuysPage]) -> None:
    """Prints a table for each page, and says whether there are more rows."""
    page = BuysPage((), None)
    for page in pages:
        print_table(_ORDER_HEADER, [_order_cells(buy) for buy in page.buys], numbers=range(3, 7))
    if page.next is not None:
        print("There are more: --limit prints so many, --csv and --json all.")


def _order_cells(buy: LoggedBuy) -> Sequence[str]:
    price, total = ("", "") if buy.price_cents is None else _prices(buy.price_cents, buy.quantity)
    returned = f"{buy.returned:,}" if buy.returned else ""
    numbers = (f"{buy.quantity:,}", price, total, returned)
    return (buy.time, str(buy.number), buy.product, *numbers, buy.refused_because or "", buy.key)


def _prices(price_cents: int, quantity: int) -> tuple[str, str]:
    return f"{amount(price_cents):,}", f"{amount(price_cents * quantity):,}"


def _print_as_json(pages: Iterable[BuysPage]) -> None:
    """Prints one JSON object, a line for each order."""
    print('{"orders": [', end="")
    separator = ""
    for page in pages:
        for buy in page.buys:
            print(f"{separator}\n{encode_json(encode_order(buy))}", end="")
            separator = ","
    print("\n]}")


def _print_csv(chunks: Iterable[bytes]) -> None:
    """Prints the chunks as they are to a file or a pipe. A terminal gets no character that would control it."""
    for chunk in chunks:
        if sys.stdout.isatty():
            for line in chunk.removeprefix(BYTE_ORDER_MARK).decode().removesuffix("\r\n").split("\r\n"):
                print(visible(line))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(chunk)


def _sums(takings: Sequence[Takings], by: str | None) -> Sequence[tuple[Sequence[str], TakingsSum]]:
    """Returns the sums of each day, the newest first, or of each product, those that earned the most first.

    Without `by` each of the takings is one. Its day and its product, or one of them, stand before each sum.
    """
    if by is None:
        return [((one.day, one.product), sum_takings([one])) for one in takings]
    if by == "day":
        return [((day,), total) for day, total in sums_by(takings, lambda one: one.day).items()]
    return [((name,), total) for name, total in sorted_by_revenue(sums_by(takings, lambda one: one.product))]
