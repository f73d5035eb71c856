"""Reads an order log through the owner's interface, page after page."""

from collections.abc import Iterator

from domain.owner import BuysPage, OrderBooks, Selection


def all_pages(books: OrderBooks, selection: Selection, limit: int) -> Iterator[BuysPage]:
    """Yields the pages of a selection, the newest first."""
    page = books.logged_buys(selection, limit=limit)
    yield page
    while page.next is not None:
        page = books.logged_buys(selection, before=page.next, limit=limit)
        yield page


def keys_on(page: BuysPage) -> list[str]:
    """Returns the keys of the buys on a page, in their order."""
    return [buy.key for buy in page.buys]
