"""HTTP clients of the owner's calls to catalog and order tier. They have the methods of domain/owner.py."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from domain.errors import Invalid, KeyReused, ProductNotFound, StoreError, Unavailable
from domain.owner import (
    Backup,
    Books,
    BuysPage,
    HistoryEntry,
    LastAudit,
    LedgerEntry,
    LogCursor,
    LoggedReturn,
    Selection,
    StockedProduct,
    Takings,
)
from domain.owner_json import (
    BACKUP,
    HISTORY_ENTRY,
    LEDGER_ENTRY,
    LOGGED_RETURN,
    STOCKED_PRODUCT,
    TAKINGS,
    decode_audit,
    decode_books,
    decode_buys_page,
    encode_cursor,
)
from domain.selections import encode_selection
from domain.values import Product
from wsgi_apps.errors import STATUS
from wsgi_apps.owner_catalog import PRODUCTS, STOCK
from wsgi_apps.owner_orders import AUDITS, BACKUPS, BOOKS, BUYS, RETURNS_OF, TAKINGS_CALL
from wsgi_apps.tier_client import TierClient

T = TypeVar("T")

# In seconds, for an audit or a backup of the largest stores.
BOOKS_DEADLINE_S = 600.0

# In seconds, for takings: a second for each million orders.
TAKINGS_TIMEOUT_S = 60.0

# The errors of a question or a change. Their messages are for the owner, and differ.
_ERRORS: dict[int, type[StoreError]] = {STATUS[kind]: kind for kind in (Invalid, ProductNotFound, KeyReused)}


class HttpOwnerCatalog:
    """A client of the catalog tier, for the owner. A change is retried under its key."""

    def __init__(self, client: TierClient) -> None:
        self._client = client

    def stock(
        self, *, q: str = "", retired: bool = False, after: tuple[int, str] | None = None, limit: int
    ) -> Sequence[StockedProduct]:
        """Returns a page of products by their stock, see OwnerCatalog.stock."""
        query: dict[str, Any] = {"q": q, "retired": int(retired), "limit": limit}
        if after is not None:
            query |= {"after_quantity": after[0], "after_name": after[1]}
        return self._get(f"{STOCK}?{urlencode(query)}", STOCKED_PRODUCT.decode_all)

    def stocked_product(self, name: str) -> StockedProduct:
        """Returns a product, also a retired one. Raises ProductNotFound."""
        return self._get(_path(name), STOCKED_PRODUCT.decode)

    def ledger(self, name: str, *, before: int | None = None, limit: int) -> Sequence[LedgerEntry]:
        """Returns a page of the product's ledger, see OwnerCatalog.ledger."""
        query = {"limit": limit} if before is None else {"before": before, "limit": limit}
        return self._get(f"{_path(name)}/ledger?{urlencode(query)}", LEDGER_ENTRY.decode_all)

    def history(self, name: str) -> Sequence[HistoryEntry]:
        """Returns the newest entries of the product's history, see OwnerCatalog.history."""
        return self._get(f"{_path(name)}/history", HISTORY_ENTRY.decode_all)

    def add(self, product: Product, key: str) -> bool:
        """Adds a product."""
        body = {"price_cents": product.price_cents, "quantity": product.quantity}
        return self._change(product.name, "add", key, body)

    def restock(self, name: str, quantity: int, key: str) -> bool:
        """Adds pieces."""
        return self._change(name, "restock", key, {"quantity": quantity})

    def writeoff(self, name: str, quantity: int, note: str, key: str) -> bool:
        """Removes pieces that broke, were lost or never came."""
        return self._change(name, "writeoff", key, {"quantity": quantity, "note": note})

    def correct(self, name: str, counted: int, note: str, key: str) -> bool:
        """Sets the stock to the number of pieces that was counted."""
        return self._change(name, "correct", key, {"counted": counted, "note": note})

    def price(self, name: str, price_cents: int, key: str) -> bool:
        """Changes the price for buys from now on."""
        return self._change(name, "price", key, {"price_cents": price_cents})

    def retire(self, name: str, key: str) -> bool:
        """Retires the product."""
        return self._change(name, "retire", key, {})

    def _get(self, path: str, decode: Callable[[Any], T]) -> T:
        return _decode(self._client.call("GET", path), lambda body: decode(body["data"]))

    def _change(self, name: str, change: str, key: str, body: dict[str, Any]) -> bool:
        answer = self._client.call(
            "POST",
            f"{_path(name)}/{change}",
            headers={"Idempotency-Key": key},
            body=json.dumps(body).encode(),
        )
        return _decode(answer, lambda reply: _require_bool(reply["data"]))


class HttpOwnerOrders:
    """A client of the order tier, for the owner. `patient` is a client with a deadline for what takes long."""

    def __init__(self, client: TierClient, patient: TierClient) -> None:
        self._client = client
        self._patient = patient

    def logged_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> BuysPage:
        """Returns a page of ended buys, see OrderBooks.logged_buys."""
        query = encode_selection(selection) | {"limit": str(limit)}
        if before is not None:
            query["before"] = encode_cursor(before)
        return _decode(self._client.call("GET", f"{BUYS}?{urlencode(query)}"), decode_buys_page)

    def returns_of(self, number: int) -> Sequence[LoggedReturn]:
        """Returns the newest returns of an order, see OrderBooks.returns_of."""
        answer = self._client.call("GET", f"{RETURNS_OF}/{number}")
        return _decode(answer, lambda body: LOGGED_RETURN.decode_all(body["data"]))

    def takings(self, selection: Selection) -> Sequence[Takings]:
        """Returns the takings of each day and product, see OrderBooks.takings."""
        path = f"{TAKINGS_CALL}?{urlencode(encode_selection(selection))}"
        answer = self._patient.call("GET", path, timeout_s=TAKINGS_TIMEOUT_S, retry=False)
        return _decode(answer, lambda body: TAKINGS.decode_all(body["data"]))

    def books(self) -> Books:
        """Returns the state of the books."""
        return _decode(self._client.call("GET", BOOKS), lambda body: decode_books(body["data"]))

    def audit(self) -> LastAudit:
        """Audits both files, see BookKeeping.audit."""
        return _decode(self._patient.call("POST", AUDITS, retry=False), lambda body: decode_audit(body["data"]))

    def backups(self) -> Sequence[Backup]:
        """Returns the backups, the newest first."""
        return _decode(self._client.call("GET", BACKUPS), lambda body: BACKUP.decode_all(body["data"]))

    def back_up(self, key: str) -> Backup:
        """Makes a backup, see BookKeeping.back_up."""
        answer = self._patient.call("POST", BACKUPS, headers={"Idempotency-Key": key}, retry=False)
        return _decode(answer, lambda body: BACKUP.decode(body["data"]))


def _path(name: str) -> str:
    return f"{PRODUCTS}/{quote(name, safe='')}"


def _require_bool(value: Any) -> bool:
    """Returns the value. Raises ValueError unless it is true or false."""
    if type(value) is not bool:
        raise ValueError("neither true nor false")
    return value


def _decode(answer: tuple[int, Any], decode: Callable[[Any], T]) -> T:
    """Returns the value in a reply. Raises the error of an error reply; Unavailable outside of the contract."""
    status, body = answer
    try:
        if status == 200:
            return decode(body)
        error = _ERRORS[status](str(body["error"]["message"]))
    except (LookupError, TypeError, ValueError) as problem:
        raise Unavailable from problem
    raise error
