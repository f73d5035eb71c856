"""Holds every answer of shoppers against the books, and counts what a correct store could not have done, by its kind.

tests/support/history.py judges each answer by its time as well; what it alone finds counts as wrong.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.books import Books
from tests.support.history import History, MergedBuy, violations

KINDS = ("lost", "doubled", "oversold", "gaps", "in doubt", "unanswered", "wrong")
_SHOWN = 10


@dataclass
class Verdict:
    """The findings by their kind; each with a line about it."""

    found: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    @property
    def is_clean(self) -> bool:
        return not any(self.found.values())

    def count(self, kind: str) -> int:
        return len(self.found[kind])

    def without(self, earlier: Collection[str]) -> "Verdict":
        """Returns the verdict without what was found earlier."""
        return Verdict({kind: [line for line in lines if line not in earlier] for kind, lines in self.found.items()})

    def __str__(self) -> str:
        return ", ".join(f"{len(lines)} {kind}" for kind, lines in self.found.items())

    def details(self) -> Iterator[str]:
        """Yields the first lines of each kind."""
        for kind, lines in self.found.items():
            yield from (f"{kind}: {line}" for line in lines[:_SHOWN])
            if len(lines) > _SHOWN:
                yield f"{kind}: and {len(lines) - _SHOWN} more"


def judge(
    history: History, books: Books, *, unanswered: Sequence[str] = (), failed_checks: Mapping[str, int] | None = None
) -> Verdict:
    """Returns the verdict on books that were read once no buy was under way.

    `unanswered` are keys that never got an answer, `failed_checks` the counts of the checks in SQL that are not 0.
    """
    verdict = Verdict()
    found = verdict.found
    buys = history.merged()
    lost = dict(_lost(buys, books))
    found["lost"] += lost.values()
    found["doubled"] += _doubled(buys, books)
    found["oversold"] += _oversold(books)
    found["gaps"] += _gaps(books)
    found["in doubt"] += [f"{key} is in doubt" for key in (*books.intents, *books.return_intents)]
    found["unanswered"] += [f"{key} got no answer" for key in unanswered]
    found["wrong"] += [line for line in violations(history, books) if line.split()[0].rstrip(",") not in lost]
    found["wrong"] += _unmatched(books)
    found["wrong"] += [f"{what}: {count}" for what, count in (failed_checks or {}).items()]
    return verdict


def _lost(buys: Mapping[str, MergedBuy], books: Books) -> Iterator[tuple[str, str]]:
    """Yields each key whose answer the log does not have: no such order, or an order of another number."""
    logged = {key: (str(number), product, quantity) for number, key, product, quantity in books.orders}
    for key, buy in buys.items():
        for answer in sorted(buy.answers):
            if answer.isdecimal():
                is_kept = logged.get(key) == (answer, buy.product, buy.quantity)
            else:
                is_kept = books.refused.get(key) == answer
            if not is_kept:
                yield key, f"{key} was told {answer!r}; the log has {logged.get(key, books.refused.get(key))!r}"


def _doubled(buys: Mapping[str, MergedBuy], books: Books) -> Iterator[str]:
    """Yields each key that bought twice, or bought and was refused, and each number that two keys were told."""
    ordered = Counter(key for _, key, _, _ in books.orders)
    sold = Counter(str(key) for *_, reason, key in books.ledger if reason == "sold")
    for key in ordered.keys() | sold.keys():
        if ordered[key] > 1 or sold[key] > 1:
            yield f"{key} is ordered {ordered[key]} times and sold {sold[key]} times"
        if key in books.refused or key in books.refused_by_catalog:
            yield f"{key} has bought and was refused"
    told: dict[str, str] = {}
    for key, buy in buys.items():
        for number in filter(str.isdecimal, buy.answers):
            if told.setdefault(number, key) != key:
                yield f"number {number} was told to {told[number]} and to {key}"


def _oversold(books: Books) -> Iterator[str]:
    """Yields each product whose stock is below zero, or is not what its ledger says at each entry."""
    balances: Counter[str] = Counter()
    for product, delta, balance, _, key in books.ledger:
        balances[product] += delta
        if balance < 0:
            yield f"{product} has {balance} pieces after {key}"
        if balance != balances[product]:
            yield f"the ledger of {product} says {balance} after {key}, and its entries add up to {balances[product]}"
    for product, stock in books.products.items():
        if stock < 0 or stock != balances[product]:
            yield f"{product} has a stock of {stock}, and its ledger adds up to {balances[product]}"


def _gaps(books: Books) -> Iterator[str]:
    """Yields each number that is missing, and each that is there twice."""
    numbers = Counter(number for number, *_ in books.orders)
    for number in range(max(numbers, default=-1) + 1):
        if numbers[number] != 1:
            yield f"number {number} is there {numbers[number]} times"


def _unmatched(books: Books) -> Iterator[str]:
    """Yields each buy that is in one database only, or differs, and each refusal that only the log has."""
    sold = {(key, product, -delta) for product, delta, _, reason, key in books.ledger if reason == "sold"}
    ordered = {(key, product, quantity) for _, key, product, quantity in books.orders}
    for key, product, quantity in sorted(sold - ordered, key=str):
        if key not in books.intents:
            yield f"{key}, {quantity} x {product}, is sold and not ordered"
    for key, product, quantity in sorted(ordered - sold, key=str):
        yield f"{key}, {quantity} x {product}, is ordered and not sold"
    for key, reason in books.refused.items():
        if books.refused_by_catalog.get(key) != reason:
            yield f"{key} is refused in the log only: {reason}"
