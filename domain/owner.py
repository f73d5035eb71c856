"""The owner's interfaces of the store, and their values. The owner's desk, its program and the tiers share them.

A store on SQLite and the client of a tier over HTTP implement the same interface, as in domain/protocols.py. Every
method may raise Unavailable. Each change has an idempotency key and is made once for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.values import Product

# The number of a refused buy, which has none, wherever numbers are shown.
REFUSED_NUMBER = -1
# The most entries of a product's history, and returns of an order, that are shown.
MAX_HISTORY = 1_000
# The most rows in one answer about takings: a product on a day is one.
MAX_TAKINGS = 50_000


@dataclass(frozen=True, slots=True)
class StockedProduct:
    """A product as the owner sees it. `quantity` is the stock, in pieces."""

    name: str
    price_cents: int
    quantity: int
    retired: bool


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A change of a product's stock. `delta` and `balance` are in pieces, `time` is UTC in ISO 8601."""

    entry: int
    delta: int
    balance: int  # the stock after this entry
    reason: str
    key: str | None
    price_cents: int  # of one piece, at that moment
    time: str
    note: str | None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An event of a product apart from its stock: it was added, got another price, or was retired."""

    entry: int
    what: str  # added, price or retired
    price_cents: int  # of one piece, from then on
    key: str | None
    time: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which buys of the order log are meant. None means any; `since` is included and `until` is not.

    `since` and `until` are UTC in ISO 8601, as far as the caller needs: "2026-11-28" means its first moment.
    """

    number: int | None = None  # REFUSED_NUMBER: the refused buys
    product: str | None = None
    key: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedBuy:
    """A buy that has ended: an order, or a refused buy with the number REFUSED_NUMBER and without a price."""

    time: str
    number: int
    key: str
    product: str
    quantity: int
    price_cents: int | None  # of one piece
    refused_because: str | None
    returned: int  # pieces that were given back


@dataclass(frozen=True, slots=True)
class LogCursor:
    """Where a page of the order log ended: the next one has the buys below it. Treat it as one opaque text.

    Orders and refused buys have a place each, because a clock may have been set back. See domain/owner_json.py.
    """

    number: int  # the orders below it follow
    refused_time: str  # the refused buys below this time and key follow
    refused_key: str


@dataclass(frozen=True, slots=True)
class BuysPage:
    """A page of ended buys. `next` is the `before` of the next page; None on the last one."""

    buys: Sequence[LoggedBuy]
    next: LogCursor | None


@dataclass(frozen=True, slots=True)
class LoggedReturn:
    """Pieces of an order that were given back."""

    time: str
    key: str
    quantity: int
    note: str | None


@dataclass(frozen=True, slots=True)
class Takings:
    """The pieces of a product sold and given back on one day, in UTC. A return counts on the day of the return."""

    day: str  # such as 2026-11-28
    product: str
    sold: int  # pieces
    sold_cents: int
    returned: int  # pieces
    returned_cents: int


@dataclass(frozen=True, slots=True)
class LastAudit:
    """The newest audit of the store's own folder. The times are UTC in ISO 8601."""

    time: str
    is_clean: bool
    discrepancies: Sequence[str]  # a discrepancy_line each, at most a hundred
    last_clean: str | None  # the time of the newest audit that found nothing


def discrepancy_line(promise: str, where: str, what: str) -> str:
    """Returns the line of a discrepancy: the promise that is broken, or what else was checked, the place, and why."""
    return f"{promise}, {where}: {what}"


@dataclass(frozen=True, slots=True)
class Books:
    """The state of the books: counts, the bytes of each file, and the newest audit.

    `in_doubt` counts buys and returns. `oldest_in_doubt` is the time of the oldest.
    """

    orders: int
    refused: int
    returns: int
    in_doubt: int
    oldest_in_doubt: str | None
    bytes_by_file: Sequence[tuple[str, int]]
    audit: LastAudit | None


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup: the name of its folder, its time (UTC, ISO 8601) and its size."""

    name: str
    time: str
    bytes: int


class OwnerCatalog(Protocol):
    """The catalog, for the owner."""

    def stock(
        self, *, q: str = "", retired: bool = False, after: tuple[int, str] | None = None, limit: int
    ) -> Sequence[StockedProduct]:
        """Returns at most `limit` products by stock and name, with `q` in the name in any case.

        With `retired`, those that are not for sale any more are among them. `after` is the stock and the name of the
        last product of the page before.
        """

    def stocked_product(self, name: str) -> StockedProduct:
        """Returns a product, also a retired one. Raises ProductNotFound."""

    def ledger(self, name: str, *, before: int | None = None, limit: int) -> Sequence[LedgerEntry]:
        """Returns at most `limit` entries of the product's ledger, the newest first, older than the entry `before`."""

    def history(self, name: str) -> Sequence[HistoryEntry]:
        """Returns the newest thousand entries of the product's history, the newest first."""

    # Each change returns True when it was made, and False when it was made before under its key. Each raises
    # ProductNotFound, Invalid, and KeyReused when the key stands for something else. See db/product_changes.py.

    def add(self, product: Product, key: str) -> bool:
        """Adds a product."""

    def restock(self, name: str, quantity: int, key: str) -> bool:
        """Adds pieces."""

    def writeoff(self, name: str, quantity: int, note: str, key: str) -> bool:
        """Removes pieces that broke, were lost or never came."""

    def correct(self, name: str, counted: int, note: str, key: str) -> bool:
        """Sets the stock to the number of pieces that was counted."""

    def price(self, name: str, price_cents: int, key: str) -> bool:
        """Changes the price for buys from now on."""

    def retire(self, name: str, key: str) -> bool:
        """Retires the product."""


class OrderBooks(Protocol):
    """The order log, for the owner."""

    def logged_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> BuysPage:
        """Returns at most `limit` ended buys of the selection, the newest first.

        `before` is the `next` of the page before. However many buys end between two pages, no buy is on both, and none
        is missing that had ended before the first.
        """

    def returns_of(self, number: int) -> Sequence[LoggedReturn]:
        """Returns the newest thousand returns of the order, the newest first."""

    def takings(self, selection: Selection) -> Sequence[Takings]:
        """Returns the takings of each day and product, the newest day first, then by product.

        Only `product`, `since` and `until` of the selection count. Raises Invalid for more than MAX_TAKINGS.
        """

    def books(self) -> Books:
        """Returns the state of the books."""


class BookKeeping(Protocol):
    """The work on both files of the store. Whoever asks while it runs for another gets the same result."""

    def audit(self) -> LastAudit:
        """Audits both files beside the running store. Raises Unavailable when they are not in one folder here."""

    def backups(self) -> Sequence[Backup]:
        """Returns the backups in BACKUP_DIR, the newest first."""

    def back_up(self, key: str) -> Backup:
        """Makes a backup in BACKUP_DIR, once for its key while that backup is there. Raises Unavailable."""


class OwnerOrders(OrderBooks, BookKeeping, Protocol):
    """The order tier, for the owner."""
