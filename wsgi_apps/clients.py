"""The tiers behind, as seen from the one before: the same methods as the stores, over HTTP."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from domain.errors import AnotherStore, ProductNotFound, StoreError, Unavailable
from domain.pairing import Introduction, LogMark
from domain.protocols import Placed, Sale
from domain.values import Buy, Order, Product, ProductPage
from wsgi_apps.errors import STATUS, error_of
from wsgi_apps.peer import Peer
from wsgi_apps.wire import (
    buys_body,
    found_of,
    introduction_of,
    mark_headers,
    names_body,
    order_of,
    page_of,
    placed_in_batch_of,
    sale_of,
)

T = TypeVar("T")

_JSON = {"Content-Type": "application/json"}


class HttpCatalog:
    """The catalog tier."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def lookup(self, names: Sequence[str], within_s: float | None = None) -> list[Product | ProductNotFound]:
        """The product of each name, in their order. Raises Unavailable."""
        distinct = list(dict.fromkeys(names))
        answer = self._peer.call("POST", "/lookups", headers=_JSON, body=names_body(distinct), within_s=within_s)
        found = dict(zip(distinct, _read_all(answer, found_of, count=len(distinct)), strict=True))
        return [found[name] for name in names]

    def products(self, *, q: str, after: str, limit: int) -> ProductPage:
        """A page of products, see CatalogStore.products. Raises Unavailable."""
        query = urlencode({"q": q, "after": after, "limit": limit})
        return _read(self._peer.call("GET", f"/products?{query}"), page_of)

    def introduce(self, last_order: str | None, within_s: float | None = None) -> Introduction:
        """See CatalogStore.introduce. Raises Unavailable."""
        headers = {} if last_order is None else {"Last-Order": last_order}
        answer = self._peer.call("GET", "/store", headers=headers, within_s=within_s)
        try:
            return _read(answer, lambda body: introduction_of(body["data"]))
        except StoreError as error:
            raise Unavailable from error

    def sell(self, buys: Sequence[Buy], within_s: float | None = None, *, log: LogMark | None = None) -> list[Sale]:
        """Take each buy from the stock, once for its key. Raises Unavailable, which says nothing about any of them, and
        AnotherStore when the order `log` is not this catalog's, which says nothing about them at the right one."""
        headers = {**_JSON, **mark_headers(log)}
        answer = self._peer.call("POST", "/sales", headers=headers, body=buys_body(buys), within_s=within_s)
        if answer[0] == STATUS[AnotherStore]:
            raise AnotherStore
        return _read_all(answer, sale_of, count=len(buys))


class HttpOrders:
    """The order tier."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def place_all(self, buys: Sequence[Buy], within_s: float | None = None) -> list[Placed]:
        """Buy, once for each key: the order's number, or the no in its place.

        Raises Unavailable, which says nothing about any of them.
        """
        answer = self._peer.call("POST", "/buys", headers=_JSON, body=buys_body(buys), within_s=within_s)
        return _read_all(answer, placed_in_batch_of, count=len(buys))

    def order(self, number: int) -> Order:
        """Raises OrderNotFound, Unavailable."""
        return _read(self._peer.call("GET", f"/orders/{number}"), lambda body: order_of(body["data"]))


def _read_all(answer: tuple[int, Any], form: Callable[[Any], T], count: int) -> list[T]:
    """The values in a reply to `count` questions, in their order. Raises Unavailable for any other reply.

    A no to the whole call is a no to none of them: only what stands in a question's own place is its answer.
    """
    try:
        values = _read(answer, lambda body: [form(value) for value in body["data"]])
    except StoreError as error:
        raise Unavailable from error
    if len(values) != count:
        raise Unavailable
    return values


def _read(answer: tuple[int, Any], form: Callable[[Any], T]) -> T:
    """The value in a reply. Raises the StoreError that it stands for, and Unavailable when it is not in the contract.

    Only what the contract calls definite may reach the order log; all else leaves a buy in doubt.
    """
    status, body = answer
    try:
        if status == 200:
            return form(body)
        error = error_of(status, body["error"]["message"] if "error" in body else body["message"])
    except (StoreError, LookupError, TypeError, ValueError) as problem:
        raise Unavailable from problem
    raise error or Unavailable()
