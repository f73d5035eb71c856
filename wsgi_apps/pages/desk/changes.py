"""The owner's changes of a product: parses what is asked, makes it once for its key, and finds what the books say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import Invalid
from domain.names import parse_new_name
from domain.owner import HistoryEntry, LedgerEntry, OwnerCatalog
from domain.values import Product, parse_note, parse_price, parse_stock
from wsgi_apps.pages.desk.encoding import encode_entry
from wsgi_apps.pages.desk.fields import Fields, blaming, parse_entry
from wsgi_apps.pages.desk.formats import describe_entry, describe_history
from wsgi_apps.pages.desk.view import CATALOG, asking

# The entry of a change is looked for among this many pages of the ledger, from the newest entry. It is the newest one,
# unless others buy or a form is sent again much later.
_PAGES, _PAGE = 100, 200


# The parameters of a page that shows a change, see Confirmation.parameters.
PARAMETERS = ("changed", "entry", "history")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The entry of a change in the books: in the ledger of a product, or in its history."""

    product: str
    entry: LedgerEntry | HistoryEntry

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the page that shows it."""
        name = "entry" if isinstance(self.entry, LedgerEntry) else "history"
        return {"changed": self.product, name: str(self.entry.entry)}

    @property
    def text(self) -> str:
        """The sentence of the page that shows it."""
        if isinstance(self.entry, LedgerEntry):
            return describe_entry(self.product, self.entry)
        return describe_history(self.product, self.entry)


Make = Callable[[OwnerCatalog, str, Fields], bool]


def _parse_pieces(text: str) -> int:
    return parse_stock(text, least=1)


def _parse_price(text: str) -> int:
    return parse_price(text.strip())


def _restock(catalog: OwnerCatalog, name: str, fields: Fields) -> bool:
    with blaming("quantity"):  # the stock would be too large
        return catalog.restock(name, fields.parse("quantity", _parse_pieces), fields.key)


def _write_off(catalog: OwnerCatalog, name: str, fields: Fields) -> bool:
    with blaming("quantity"):  # there are not so many pieces
        return catalog.writeoff(
            name, fields.parse("quantity", _parse_pieces), fields.parse("note", parse_note), fields.key
        )


def _correct(catalog: OwnerCatalog, name: str, fields: Fields) -> bool:
    return catalog.correct(name, fields.parse("quantity", parse_stock), fields.parse("note", parse_note), fields.key)


def _price(catalog: OwnerCatalog, name: str, fields: Fields) -> bool:
    return catalog.price(name, fields.parse("price", _parse_price), fields.key)


def _retire(catalog: OwnerCatalog, name: str, fields: Fields) -> bool:
    return catalog.retire(name, fields.key)


# The changes by the `action` of their form.
ACTIONS: Mapping[str, Make] = {
    "restock": _restock,
    "writeoff": _write_off,
    "correct": _correct,
    "price": _price,
    "retire": _retire,
}
# Those that the history records, and not the ledger.
_IN_HISTORY = ("price", "retire")


def add(catalog: OwnerCatalog, fields: Fields) -> "Change":
    """Adds a product. Raises Invalid, KeyReused, Unavailable."""
    product = Product(
        fields.parse("name", lambda text: parse_new_name(text.strip())),
        fields.parse("price", _parse_price),
        fields.parse("quantity", parse_stock),
    )
    with asking(CATALOG):
        with blaming("name"):  # it is taken
            made = catalog.add(product, fields.key)
        return Change(made, _ledger_entry(catalog, product.name, fields.key))


def change(catalog: OwnerCatalog, name: str, fields: Fields) -> "Change":
    """Makes the change that the field `action` names. Raises ProductNotFound, Invalid, KeyReused, Unavailable."""
    action = fields["action"]
    if action not in ACTIONS:
        raise Invalid(f"the action {action!r} is none of {', '.join(ACTIONS)}")
    with asking(CATALOG):
        made = ACTIONS[action](catalog, name, fields)
        find = _history_entry if action in _IN_HISTORY else _ledger_entry
        return Change(made, find(catalog, name, fields.key))


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was made, now or before under its key. Without a confirmation its entry is too far back."""

    made: bool
    confirmation: Confirmation | None

    def encode(self) -> dict[str, Any]:
        """Returns the JSON for a program."""
        found = self.confirmation
        return {"data": {"made": self.made, "entry": None if found is None else encode_entry(found.entry)}}


def find_confirmation(catalog: OwnerCatalog, name: str, query: Mapping[str, str]) -> Confirmation | None:
    """Returns what the books say of the entry that a page shows, by its parameters, if there is one. Raises Invalid."""
    entry, history = parse_entry(query, "entry"), parse_entry(query, "history")
    found: LedgerEntry | HistoryEntry | None = None
    if entry is not None:
        found = next((one for one in catalog.ledger(name, before=entry + 1, limit=1) if one.entry == entry), None)
    elif history is not None:
        found = next((one for one in catalog.history(name) if one.entry == history), None)
    return None if found is None else Confirmation(name, found)


def _ledger_entry(catalog: OwnerCatalog, name: str, key: str) -> Confirmation | None:
    before, limit = None, 1
    for _ in range(_PAGES):
        entries = catalog.ledger(name, before=before, limit=limit)
        for entry in entries:
            if entry.key == key:
                return Confirmation(name, entry)
        if len(entries) < limit:
            return None
        before, limit = entries[-1].entry, _PAGE
    return None


def _history_entry(catalog: OwnerCatalog, name: str, key: str) -> Confirmation | None:
    return next((Confirmation(name, entry) for entry in catalog.history(name) if entry.key == key), None)
