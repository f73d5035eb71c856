"""HTTP clients of the catalog and of the order tier. They have the methods of the stores (domain/protocols.py)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from domain.errors import AnotherStore, StoreError, Unavailable
from domain.isolation import answer_each
from domain.limits import MAX_BATCH, MAX_NAMES
from domain.pairing import Introduction, LogMark
from domain.protocols import Found, Placed, Sale
from domain.returns import Return, Returned, SaleReturn, TakeBack
from domain.values import Buy, KnownBuy, Order
from wsgi_apps import wire
from wsgi_apps.errors import STATUS, decode_error
from wsgi_apps.tier_client import TierClient, decode_json

T = TypeVar("T")

# The errors that the decoders in wire.py raise for a reply outside of the contract.
_NOT_IN_THE_CONTRACT = (StoreError, LookupError, TypeError, ValueError)


class HttpCatalog:
    """A client of the catalog tier. Without `retry` it makes one try of each call.

    A page is never retried: pages are large, and retries would overload the tier. `owners_client` takes back: a catalog
    that knows its owner does so for the owner alone.
    """

    def __init__(self, client: TierClient, *, retry: bool = True, owners_client: TierClient | None = None) -> None:
        self._client = client
        self._owners_client = owners_client or client
        self._retry = retry

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        """Returns the product of each name, in their order; Unavailable where there is no answer.

        Raises Unavailable when no name has an answer.
        """
        distinct = list(dict.fromkeys(names))
        found = dict(zip(distinct, answer_each(self._lookup, distinct, MAX_NAMES, timeout_s), strict=True))
        return [found[name] for name in names]

    def products(self, *, q: str, after: str, limit: int) -> bytes:
        """Returns a page of products, see Catalog.products. Raises Unavailable."""
        query = urlencode({"q": q, "after": after, "limit": limit})
        return _decode(self._client.call("GET", f"/products?{query}", decode=_decode_page, retry=False), bytes)

    def introduce(self, last_order: str | None, timeout_s: float | None = None) -> Introduction:
        """Returns which store the catalog is of, see Catalog.introduce. Raises Unavailable."""
        headers = wire.last_order_headers(last_order)
        answer = self._client.call("GET", wire.STORE, headers=headers, timeout_s=timeout_s, retry=self._retry)
        try:
            return _decode(answer, lambda body: wire.decode_introduction(body["data"]))
        except StoreError as error:
            raise Unavailable from error

    def sell(
        self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[Sale | Unavailable]:
        """Takes each buy from the stock, once for its key. Returns an answer for each; Unavailable if not definite.

        Raises Unavailable when no answer is definite. Raises AnotherStore when the order `log` is of another store,
        whose own catalog may have sold these buys.
        """
        answer = self._post(wire.SALES, wire.encode_buys(buys), timeout_s, wire.mark_headers(log))
        if answer[0] == STATUS[AnotherStore]:
            raise AnotherStore
        return _decode_each(answer, wire.decode_sale, count=len(buys))

    def take_back(
        self, returns: Sequence[SaleReturn], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[TakeBack | Unavailable]:
        """Puts the pieces of each return back into the stock, once for its key. Errors are those of `sell`."""
        answer = self._owners_client.call(
            "POST",
            wire.RETURNS,
            headers=wire.mark_headers(log),
            body=wire.encode_sale_returns(returns),
            timeout_s=timeout_s,
            retry=self._retry,
        )
        if answer[0] == STATUS[AnotherStore]:
            raise AnotherStore
        return _decode_each(answer, wire.decode_take_back, count=len(returns))

    def decrement(self, buy: Buy, timeout_s: float | None = None) -> None:
        """Takes the pieces from the stock without an order, see Catalog.decrement."""
        answer = self._client.call(
            "POST",
            f"/{quote(buy.product, safe='')}/{buy.quantity}",
            headers={"Idempotency-Key": buy.key},
            timeout_s=timeout_s,
            retry=self._retry,
        )
        _decode(answer, lambda body: body["message"])

    def _lookup(self, names: Sequence[str], timeout_s: float | None) -> Sequence[Found]:
        return _decode_each(
            self._post(wire.LOOKUPS, wire.encode_names(names), timeout_s), wire.decode_found, count=len(names)
        )

    def _post(
        self, path: str, body: bytes, timeout_s: float | None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        return self._client.call("POST", path, headers=headers, body=body, timeout_s=timeout_s, retry=self._retry)


class HttpOrders:
    """A client of the order tier."""

    def __init__(self, client: TierClient) -> None:
        self._client = client

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Placed]:
        """Buys once for each key. Returns the number or the refusal of each; Unavailable where there is no answer.

        Raises Unavailable when no buy has an answer.
        """
        return answer_each(self._place_all, buys, MAX_BATCH, timeout_s)

    def order(self, number: int, key: str | None = None) -> Order:
        """Returns an order, see Orders.order. Raises OrderNotFound, Unavailable."""
        headers = None if key is None else {"Idempotency-Key": key}
        answer = self._client.call("GET", f"/orders/{number}", headers=headers, retry=False)
        return _decode(answer, lambda body: wire.decode_order(body["data"]))

    def find(self, keys: Sequence[str], timeout_s: float | None = None) -> Sequence[KnownBuy | None]:
        """Returns the buy of each key, see Orders.find. Raises Unavailable unless each has an answer."""
        if not keys:
            return []
        answer = self._client.call("POST", wire.RECEIPTS, body=wire.encode_keys(keys), timeout_s=timeout_s)
        try:
            return _decode(
                answer, lambda body: [wire.decode_known(*row) for row in zip(keys, body["data"], strict=True)]
            )
        except StoreError as error:
            raise Unavailable from error

    def _place_all(self, buys: Sequence[Buy], timeout_s: float | None) -> list[Placed]:
        answer = self._client.call("POST", wire.BUYS, body=wire.encode_buys(buys), timeout_s=timeout_s)
        return _decode_each(answer, wire.decode_placed, count=len(buys))


class HttpReturns:
    """A client of the order tier, for an owner who gives orders back."""

    def __init__(self, client: TierClient) -> None:
        self._client = client

    def give_back(self, asked: Return, timeout_s: float | None = None) -> Returned:
        """Gives pieces back, once for the key. Raises Invalid, OrderNotFound, KeyReused, Unavailable."""
        answer = self._client.call(
            "POST",
            f"/orders/{asked.number}/returns",
            headers={"Idempotency-Key": asked.key},
            body=wire.encode_return(asked),
            timeout_s=timeout_s,
        )
        return _decode(answer, lambda body: wire.decode_returned(body["data"]))


def _decode_page(status: int, content_type: str | None, body: bytes) -> Any:
    """Returns the bytes of a page without decoding them. Decodes any other reply, such as an error."""
    if status != 200:
        return decode_json(status, content_type, body)
    if content_type != "application/json":
        raise ValueError(f"a page of products is JSON, not {content_type}")
    return wire.decode_page(body)


def _decode_each(answer: tuple[int, Any], decode: Callable[[Any], T], count: int) -> list[T | Unavailable]:
    """Returns the answer to each of `count` questions, in their order; Unavailable for one outside of the contract.

    Raises Unavailable for any other reply, and when no answer is in the contract. An error reply to the whole call
    answers none of its questions.
    """
    try:
        values: list[Any] = _decode(answer, lambda body: list(body["data"]))
    except StoreError as error:
        raise Unavailable from error
    answers: list[T | Unavailable] = []
    misread = 0
    for value in values:
        try:
            answers.append(decode(value))
        except _NOT_IN_THE_CONTRACT:
            answers.append(Unavailable())
            misread += 1
    if len(values) != count or (values and misread == count):
        raise Unavailable
    return answers


def _decode(answer: tuple[int, Any], decode: Callable[[Any], T]) -> T:
    """Returns the value in a reply. Raises the StoreError of an error reply; Unavailable outside of the contract.

    Only a definite answer may reach the order log. Any other leaves the buy in doubt.
    """
    status, body = answer
    try:
        if status == 200:
            return decode(body)
        error = decode_error(status, body["error"]["message"] if "error" in body else body["message"])
    except _NOT_IN_THE_CONTRACT as problem:
        raise Unavailable from problem
    raise error or Unavailable()
