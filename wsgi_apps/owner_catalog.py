"""The owner's calls to the catalog tier: stock, ledger and history, and changes of the products."""

from typing import Any

from werkzeug.exceptions import NotFound

from domain.errors import Invalid
from domain.names import parse_new_name
from domain.owner import OwnerCatalog
from domain.owner_json import HISTORY_ENTRY, LEDGER_ENTRY, STOCKED_PRODUCT
from domain.values import MAX_PRICE_CENTS, MAX_STOCK, Product, parse_name, parse_note
from wsgi_apps.base import Request, Rule
from wsgi_apps.queries import owner_read, parse_limit
from wsgi_apps.reply import BoundedPool, Reply, run_in_pool
from wsgi_apps.wire import OWNER, parse_object

PRODUCTS, STOCK = f"{OWNER}/products", f"{OWNER}/stock"
# One thread is enough for people, and leaves the other cores to buys.
THREADS = 1
MAX_QUEUED = 16

# The changes of a product, and the fields of their bodies.
CHANGES = {
    "add": ("price_cents", "quantity"),
    "restock": ("quantity",),
    "writeoff": ("quantity", "note"),
    "correct": ("counted", "note"),
    "price": ("price_cents",),
    "retire": (),
}


class OwnerCatalogCalls:
    """The endpoints of the owner's calls. wsgi_apps/owner_clients.py has their client."""

    def __init__(self, catalog: OwnerCatalog) -> None:
        self._catalog = catalog

    def rules(self) -> list[Rule]:
        """Returns the rules of the calls, which only the owner may make."""
        reads, changes = BoundedPool(THREADS, MAX_QUEUED), BoundedPool(THREADS, MAX_QUEUED)

        return [
            owner_read(STOCK, self.stock, reads, takes_query=True),
            owner_read(f"{PRODUCTS}/<name>", self.product, reads),
            owner_read(f"{PRODUCTS}/<name>/ledger", self.ledger, reads, takes_query=True),
            owner_read(f"{PRODUCTS}/<name>/history", self.history, reads),
            Rule(
                f"{PRODUCTS}/<name>/<change>",
                methods=["POST"],
                endpoint=run_in_pool(self.change, changes),
                owner=True,
            ),
        ]

    def stock(self, request: Request) -> Reply:
        """Shows a page of the stock, what runs out first."""
        given = request.parameters("q", "retired", "after_quantity", "after_name", "limit")
        after = None
        if "after_quantity" in given:
            after = _parse_integer(given, "after_quantity", -(2**63)), _parse_text(given, "after_name")
        stock = self._catalog.stock(
            q=_parse_text(given, "q"),
            retired=given.get("retired") == "1",
            after=after,
            limit=parse_limit(given.get("limit", "")),
        )
        return Reply({"data": [STOCKED_PRODUCT.encode(product) for product in stock]})

    def product(self, _request: Request, name: str) -> Reply:
        """Shows a product, also a retired one."""
        return Reply({"data": STOCKED_PRODUCT.encode(self._catalog.stocked_product(parse_name(name)))})

    def ledger(self, request: Request, name: str) -> Reply:
        """Shows a page of a product's ledger."""
        given = request.parameters("before", "limit")
        before = _parse_integer(given, "before") if "before" in given else None
        entries = self._catalog.ledger(parse_name(name), before=before, limit=parse_limit(given.get("limit", "")))
        return Reply({"data": [LEDGER_ENTRY.encode(entry) for entry in entries]})

    def history(self, _request: Request, name: str) -> Reply:
        """Shows a product's history."""
        return Reply({"data": [HISTORY_ENTRY.encode(entry) for entry in self._catalog.history(parse_name(name))]})

    def change(self, request: Request, name: str, change: str) -> Reply:
        """Changes a product, once for its key. Says whether it was changed now, or before under this key."""
        if change not in CHANGES:
            raise NotFound
        key = request.given_key
        if key is None:
            raise Invalid("a change needs an Idempotency-Key")
        body, names = parse_object(request.whole_body), CHANGES[change]
        if body.keys() != set(names):
            raise Invalid(f"the body is not an object with {' and '.join(names) or 'nothing in it'}")
        return Reply({"data": self._change(parse_name(name), change, body, key)})

    def _change(self, name: str, change: str, body: dict[str, Any], key: str) -> bool:
        match change:
            case "add":
                price_cents = _integer(body, "price_cents", 0, MAX_PRICE_CENTS)
                product = Product(parse_new_name(name), price_cents, _integer(body, "quantity", 0, MAX_STOCK))
                return self._catalog.add(product, key)
            case "restock":
                return self._catalog.restock(name, _integer(body, "quantity", 1, MAX_STOCK), key)
            case "writeoff":
                return self._catalog.writeoff(name, _integer(body, "quantity", 1, MAX_STOCK), _note(body), key)
            case "correct":
                return self._catalog.correct(name, _integer(body, "counted", 0, MAX_STOCK), _note(body), key)
            case "price":
                return self._catalog.price(name, _integer(body, "price_cents", 0, MAX_PRICE_CENTS), key)
        return self._catalog.retire(name, key)


def _parse_text(given: dict[str, str], name: str) -> str:
    """Returns a parameter that is a part of a name, empty without it. Raises Invalid for NUL: PostgreSQL takes none."""
    text = given.get(name, "")
    if "\0" in text:
        raise Invalid(f"{name} has a control character")
    return text


def _parse_integer(given: dict[str, str], name: str, least: int = 0) -> int:
    """Returns a parameter that is an integer of SQLite. Raises Invalid."""
    try:
        number = int(given[name])
    except ValueError:  # also for more digits than int() takes
        number = least - 1
    if not least <= number < 2**63:
        raise Invalid(f"{name} is not a whole number")
    return number


def _integer(body: dict[str, Any], name: str, least: int, most: int) -> int:
    """Returns a number of a body. Raises Invalid."""
    number = body[name]
    if type(number) is not int or not least <= number <= most:
        raise Invalid(f"{name} is not a whole number from {least} to {most:,}")
    return number


def _note(body: dict[str, Any]) -> str:
    """Returns the note of a body. Raises Invalid."""
    if type(body["note"]) is not str:
        raise Invalid("the note is not a text")
    return parse_note(body["note"])
