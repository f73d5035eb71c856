"""Sends orders and takings as CSV. The orders are read page by page while they are sent, so memory stays flat.

No buy is twice in a file and none is missing that had ended when the export began, however many buys end meanwhile: see
OrderBooks.logged_buys. When the client goes away, nothing is left open, because each page is a call of its own.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from domain.csv_rows import BYTE_ORDER_MARK, Cell, amount, encode_rows
from domain.errors import Unavailable
from domain.owner import BuysPage, LogCursor, LoggedBuy, OrderBooks, Selection, Takings
from wsgi_apps.reply import Reply, Stream

CSV = "text/csv; charset=utf-8; header=present"
ORDER_COLUMNS = ("time", "number", "product", "pieces", "price", "total", "returned", "refused", "key")
TAKINGS_COLUMNS = ("day", "product", "sold", "revenue", "returned", "refunded", "net pieces", "net revenue")
# Rows of a page: the order tier reads one in a few ms, between which buys go on.
PAGE_ROWS = 1_000
# The order tier may be restarted during a long export. It is asked again so often, a second apart.
TRIES = 10

Pause = Callable[[float], None]


def csv_reply(name: str, chunks: Iterator[bytes]) -> Reply:
    """Returns the reply with a file of this name."""
    return Reply(Stream(chunks), 200, {"Content-Disposition": f'attachment; filename="{name}"'}, CSV)


def stream_orders(orders: OrderBooks, selection: Selection, pause: Pause = time.sleep) -> Iterator[bytes]:
    """Returns the file with the buys of a selection, the newest first. Raises what the first page raises."""
    return _orders(orders, selection, orders.logged_buys(selection, limit=PAGE_ROWS), pause)


def _orders(orders: OrderBooks, selection: Selection, first: BuysPage, pause: Pause) -> Iterator[bytes]:
    page, with_header = first, True
    while True:
        yield encode_order_rows(page.buys, with_header=with_header)
        with_header = False
        if page.next is None:
            return
        page = _next_page(orders, selection, page.next, pause)


def encode_order_rows(buys: Sequence[LoggedBuy], *, with_header: bool) -> bytes:
    """Returns the rows of these buys. Those at the top of a file have the header."""
    rows = encode_rows(map(_order_row, buys))
    return BYTE_ORDER_MARK + encode_rows([ORDER_COLUMNS]) + rows if with_header else rows


def _next_page(orders: OrderBooks, selection: Selection, before: LogCursor, pause: Pause) -> BuysPage:
    """Returns the page at the cursor. Raises Unavailable when the order tier stays away."""
    for tries_left in reversed(range(TRIES)):
        try:
            return orders.logged_buys(selection, before=before, limit=PAGE_ROWS)
        except Unavailable:
            if not tries_left:
                raise
            pause(1.0)
    raise AssertionError("unreachable")


def encode_takings(takings: Sequence[Takings]) -> bytes:
    """Returns the file with the takings of each day and product."""
    return BYTE_ORDER_MARK + encode_rows([TAKINGS_COLUMNS, *map(takings_row, takings)])


def _order_row(buy: LoggedBuy) -> Sequence[Cell]:
    price_cents = buy.price_cents
    return (
        buy.time,
        buy.number,
        buy.product,
        buy.quantity,
        None if price_cents is None else amount(price_cents),
        None if price_cents is None else amount(price_cents * buy.quantity),
        buy.returned,
        buy.refused_because,
        buy.key,
    )


def takings_row(line: Takings) -> Sequence[Cell]:
    """Returns the cells of TAKINGS_COLUMNS."""
    return (
        line.day,
        line.product,
        line.sold,
        amount(line.sold_cents),
        line.returned,
        amount(line.returned_cents),
        line.sold - line.returned,
        amount(line.sold_cents - line.returned_cents),
    )
