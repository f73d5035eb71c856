"""The page of the books: what the last audit found, buys in doubt, the sizes of the files, and the backups."""

from collections.abc import Sequence

from domain.errors import Unavailable
from domain.owner import Backup, OwnerOrders
from domain.owner_json import encode_audit
from wsgi_apps.base import Request, Rule
from wsgi_apps.pages.desk.encoding import encode_backup, encode_books
from wsgi_apps.pages.desk.fields import read_fields, read_query
from wsgi_apps.pages.desk.forms import Form
from wsgi_apps.pages.desk.view import ORDER_TIER, View, asking
from wsgi_apps.pages.templates import redirect
from wsgi_apps.reply import Reply

BOOKS = "/books"


class BooksPage:
    """Shows the state of the books, audits them and backs them up."""

    def __init__(self, orders: OwnerOrders, view: View) -> None:
        self._orders = orders
        self._view = view

    def rules(self) -> list[Rule]:
        """Returns the rules of the page."""
        page = self._view.page
        return [
            Rule(BOOKS, methods=["GET"], endpoint=page(self.show), takes_query=True),
            Rule(f"{BOOKS}/audits", methods=["POST"], endpoint=page(self.audit)),
            Rule(f"{BOOKS}/backups", methods=["POST"], endpoint=page(self.back_up)),
        ]

    def show(self, request: Request) -> Reply:
        """Shows the books, and a backup that was just made."""
        query = read_query(request, "backup", "audit")
        with asking(ORDER_TIER):
            books = self._orders.books()
        backups, problem = self._backups()
        made = next((backup for backup in backups or () if backup.name == query.get("backup")), None)
        audited = books.audit if books.audit is not None and books.audit.time == query.get("audit") else None
        return self._view.show(
            request,
            "books.html",
            lambda: encode_books(books, backups),
            here=BOOKS,
            books=books,
            backups=backups,
            problem=problem,
            made=made,
            audited=audited,
            form=Form(),
        )

    def audit(self, request: Request) -> Reply:
        """Audits the books now."""
        read_fields(request)
        with asking(ORDER_TIER):
            audit = self._orders.audit()
        if not request.wants_page:
            return Reply({"data": encode_audit(audit)})
        return redirect(f"{BOOKS}?audit={audit.time}")

    def back_up(self, request: Request) -> Reply:
        """Makes a backup now, once for the key of its form."""
        fields = read_fields(request)
        with asking(ORDER_TIER):
            backup = self._orders.back_up(fields.key)
        if not request.wants_page:
            return Reply({"data": encode_backup(backup)})
        return redirect(f"{BOOKS}?backup={backup.name}")

    def _backups(self) -> tuple[Sequence[Backup] | None, str]:
        """Returns the backups, or why there is no list of them; the rest of the page does not need it."""
        try:
            return self._orders.backups(), ""
        except Unavailable as error:
            return None, error.message
