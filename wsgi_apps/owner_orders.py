"""The owner's calls to the order tier: the order log, takings, the state of the books, audits and backups."""

import json
from collections.abc import Sequence
from typing import Any, Protocol

from domain.errors import OrderNotFound
from domain.owner import Backup, BookKeeping, Books, LastAudit, LogCursor, LoggedReturn, Selection, Takings
from domain.owner_json import BACKUP, LOGGED_RETURN, TAKINGS, encode_audit, encode_books, parse_cursor
from domain.selections import PARAMETERS, parse_selection
from domain.values import parse_whole_number
from wsgi_apps.base import Request, Rule
from wsgi_apps.queries import owner_read, parse_limit
from wsgi_apps.reply import BoundedPool, Deferred, Reply
from wsgi_apps.single_flight import SingleFlight
from wsgi_apps.wire import OWNER

BUYS, TAKINGS_CALL, BOOKS = f"{OWNER}/buys", f"{OWNER}/takings", f"{OWNER}/books"
RETURNS_OF = f"{OWNER}/returns"  # of the order whose number follows
AUDITS, BACKUPS = f"{OWNER}/audits", f"{OWNER}/backups"
# Long reads, such as takings, must not keep the owner from all others. More threads would take time from buys.
THREADS = 2
MAX_QUEUED = 16

_to_json = json.JSONEncoder(ensure_ascii=False).encode


class EncodedBooks(Protocol):
    """The order log as domain.owner.OrderBooks has it, with its pages encoded by the database."""

    def encoded_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> bytes:
        """Returns a page of ended buys as JSON in UTF-8, which `decode_buys_page` decodes."""

    def returns_of(self, number: int) -> Sequence[LoggedReturn]:
        """See OrderBooks.returns_of."""

    def takings(self, selection: Selection) -> Sequence[Takings]:
        """See OrderBooks.takings."""

    def books(self) -> Books:
        """See OrderBooks.books."""


class OwnerOrderCalls:
    """The endpoints of the owner's calls. wsgi_apps/owner_clients.py has their client.

    Of audits one at a time is made, and of backups, too. Whoever asks meanwhile gets the result of the running one.
    """

    def __init__(self, orders: EncodedBooks, keeper: BookKeeping) -> None:
        self._orders = orders
        self._keeper = keeper
        self._audits: SingleFlight[LastAudit] = SingleFlight()
        self._backups: SingleFlight[Backup] = SingleFlight()

    def rules(self) -> list[Rule]:
        """Returns the rules of the calls, which only the owner may make."""
        reads = BoundedPool(THREADS, MAX_QUEUED)

        return [
            owner_read(BUYS, self.buys, reads, takes_query=True),
            owner_read(f"{RETURNS_OF}/<number>", self.returns_of, reads),
            owner_read(TAKINGS_CALL, self.takings, reads, takes_query=True),
            owner_read(BOOKS, self.books, reads),
            owner_read(BACKUPS, self.backups, reads),
            Rule(AUDITS, methods=["POST"], endpoint=self.audit, owner=True),
            Rule(BACKUPS, methods=["POST"], endpoint=self.back_up, owner=True),
        ]

    def buys(self, request: Request) -> Reply:
        """Shows a page of ended buys, the newest first."""
        given = request.parameters(*PARAMETERS, "before", "limit")
        before = parse_cursor(given["before"]) if "before" in given else None
        limit = parse_limit(given.get("limit", ""))
        return Reply(self._orders.encoded_buys(parse_selection(given), before=before, limit=limit))

    def returns_of(self, _request: Request, number: str) -> Reply:
        """Shows the returns of an order, the newest first."""
        parsed = parse_whole_number(number)
        if parsed is None:
            raise OrderNotFound
        return Reply({"data": [LOGGED_RETURN.encode(one) for one in self._orders.returns_of(parsed)]})

    def takings(self, request: Request) -> Reply:
        """Shows the takings of each day and product."""
        rows = self._orders.takings(parse_selection(request.parameters(*PARAMETERS)))
        # Row by row, for one long encoding would keep the interpreter lock from buys.
        encoded = ", ".join(_to_json(TAKINGS.encode(row)) for row in rows)
        return Reply(f'{{"data": [{encoded}]}}'.encode())

    def books(self, _request: Request) -> Reply:
        """Shows the state of the books."""
        return Reply({"data": encode_books(self._orders.books())})

    def backups(self, _request: Request) -> Reply:
        """Shows the backups, the newest first."""
        return Reply({"data": [BACKUP.encode(backup) for backup in self._keeper.backups()]})

    def audit(self, _request: Request) -> Deferred[Any]:
        """Audits both files."""
        return Deferred(self._audits.ask(self._keeper.audit), lambda audit: Reply({"data": encode_audit(audit)}))

    def back_up(self, request: Request) -> Deferred[Any]:
        """Makes a backup, once for its key."""
        key = request.idempotency_key
        return Deferred(
            self._backups.ask(lambda: self._keeper.back_up(key)), lambda backup: Reply({"data": BACKUP.encode(backup)})
        )
