"""Sends files of CSV. The orders are read page by page while they are sent, so memory stays flat.

No buy is twice in a file and none is missing that had ended when the export began, however many buys end meanwhile: see
OrderBooks.logged_buys. When the client goes away, nothing is left open, because each page is a call of its own.
"""

import time
from collections.abc import Callable, Iterator

from domain.errors import Unavailable
from domain.owner import BuysPage, LogCursor, OrderBooks, Selection
from domain.owner_csv import encode_orders
from wsgi_apps.reply import Reply, Stream

CSV = "text/csv; charset=utf-8; header=present"
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
        yield encode_orders(page.buys, with_header=with_header)
        with_header = False
        if page.next is None:
            return
        page = _next_page(orders, selection, page.next, pause)


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
