"""Prints the results of the program of the books: tables and sentences for people, or JSON for scripts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.table import Column, Table
from rich.text import Text

from conf.output import print_json, visible
from db.audit import Audit, Discrepancy
from db.database import LARGE_WAL_BYTES
from db.status import FileStatus, Status
from domain.protocols import Placed
from domain.values import Buy, Product

# Where no terminal sets a width, a line must stay one line, so that it can be searched.
_WIDE = 10_000


@contextmanager
def showing_progress(what: str) -> Iterator[Callable[[str], None]]:
    """Hears what is under way, and shows it to who sits at a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _step: None
        return
    with console.status(what) as line:
        yield lambda step: line.update(Text(visible(f"{what}: {step}")))


def print_status(state: Status, as_json: bool) -> None:
    if as_json:
        print_json(asdict(state))
        return
    last = state.last_order
    rows = [
        ("products", f"{state.products:,}, {state.retired:,} of them retired"),
        ("stock", f"{state.stock:,} pieces"),
        ("orders", f"{state.orders:,}"),
        ("refused buys", f"{state.refused:,}"),
        ("buys in doubt", _in_doubt(state)),
        ("last order", f"{last.number}: {last.quantity} {last.product}, {last.time}" if last else "none"),
    ]
    rows += [(file.name, _sizes(file)) for file in state.files]
    _print_table((), rows)


def _sizes(file: FileStatus) -> str:
    large = " (large: a connection keeps an old snapshot of it open)" if file.wal_bytes > LARGE_WAL_BYTES else ""
    return f"{decimal(file.bytes)}, write-ahead log {decimal(file.wal_bytes)}{large}, schema {file.schema}"


def print_audit(found: Audit, state: Status | None, seconds: float, as_json: bool) -> None:
    if as_json:
        print_json({**_found(found), "seconds": round(seconds, 3), "status": state and asdict(state)})
        return
    _print_found(found)
    print(f"{_verdict(found, state)}; {seconds:.1f} s.")


def print_copy(found: Audit, state: Status | None, folder: Path, only: str | None, as_json: bool) -> None:
    """Print what a backup or a restore has made in the folder: a whole store, or one file."""
    if as_json:
        print_json({"folder": str(folder), "only": only, **_found(found), "status": state and asdict(state)})
        return
    _print_found(found)
    print(f"{visible(str(folder / only if only else folder))} is complete. {_verdict(found, state)}.")
    repairable = sum(discrepancy.repair is not None for discrepancy in found.discrepancies)
    if repairable:
        print(f"`reconcile --apply` repairs {_counted(repairable, 'discrepancy', 'discrepancies')}.")


def print_reconciled(placed: Sequence[tuple[Buy, Placed]], left: Audit, as_json: bool) -> None:
    """Print the repaired buys, and what is left: of that the repairable comes first."""
    if as_json:
        repaired = [{"key": buy.key, "outcome": _outcome(answer)} for buy, answer in placed]
        print_json({"repaired": repaired, **_found(left)})
        return
    if placed:
        rows = [(buy.key, f"{buy.quantity} {buy.product}", _outcome(answer)) for buy, answer in placed]
        _print_table(("repaired key", "buy", "is now"), rows)
    repairable = [discrepancy for discrepancy in left.discrepancies if discrepancy.repair is not None]
    others = [discrepancy for discrepancy in left.discrepancies if discrepancy.repair is None]
    if repairable:
        _print_discrepancies(repairable)
        print(f"{len(repairable):,} can be repaired: run it with --apply.")
    if others:
        _print_discrepancies(others)
        print(f"{len(others):,} cannot be repaired by appending, see docs/books.md.")
    if left.is_clean:
        print("Nothing is left to repair.")


def print_change(name: str, product: Product | None, key: str, is_new: bool, as_json: bool) -> None:
    """Print the outcome of one of the owner's commands. `product` is None when it is not for sale."""
    if as_json:
        print_json({"done": "now" if is_new else "before", "key": key, "product": product and asdict(product)})
        return
    stands = f"{product.quantity:,} pieces at {product.price_cents / 100:.2f}" if product else "not for sale any more"
    print(f"{'Done' if is_new else 'Already done'}. {visible(name)}: {stands}. Key: {key}")


def print_accepted(fingerprint: str, accepted: Discrepancy | None, key: str, is_new: bool, as_json: bool) -> None:
    """Print the outcome of `accept`. `accepted` is None when the audit does not find it any more."""
    if as_json:
        discrepancy = accepted and _named(accepted)
        print_json({"done": "now" if is_new else "before", "key": key, "discrepancy": discrepancy})
        return
    what = visible(f"{accepted.promise}, {accepted.where}: {accepted.what}") if accepted else "not found any more"
    print(f"{'Done' if is_new else 'Already done'}. Accepted {fingerprint}: {what}. Key: {key}")


def _found(found: Audit) -> dict[str, Any]:
    discrepancies = [{**_named(one), "repairable": one.repair is not None} for one in found.discrepancies]
    accepted = [{**_named(one.discrepancy), "note": one.note, "by": one.by, "time": one.time} for one in found.accepted]
    return {"clean": found.is_clean, "discrepancies": discrepancies, "accepted": accepted}


def _named(one: Discrepancy) -> dict[str, str]:
    return {"promise": one.promise, "where": one.where, "what": one.what, "fingerprint": one.fingerprint}


def _verdict(found: Audit, state: Status | None) -> str:
    verdict = "Clean" if found.is_clean else _counted(len(found.discrepancies), "discrepancy", "discrepancies")
    if found.accepted:
        verdict += f", {len(found.accepted):,} accepted"
    if state is None:
        return verdict
    return (
        f"{verdict}: {_counted(state.orders, 'order')}, {_counted(state.refused, 'refused buy')}, "
        f"{_counted(state.ledger_entries, 'ledger entry', 'ledger entries')} of {_counted(state.products, 'product')}; "
        f"buys in doubt: {_in_doubt(state)}"
    )


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def _in_doubt(state: Status) -> str:
    return f"{state.intents:,}, the oldest for {state.oldest_intent_s:.1f} s" if state.intents else "none"


def _outcome(answer: Placed) -> str:
    return f"order {answer}" if isinstance(answer, int) else answer.message


def _print_found(found: Audit) -> None:
    _print_discrepancies(found.discrepancies)
    if found.accepted:
        rows = [
            (one.discrepancy.promise, one.discrepancy.where, one.discrepancy.what, f"{one.note}, {one.by}, {one.time}")
            for one in found.accepted
        ]
        _print_table(("promise", "where", "what", "accepted: reason, by, time"), rows)


def _print_discrepancies(discrepancies: Sequence[Discrepancy]) -> None:
    if discrepancies:
        rows = [(one.promise, one.where, one.what, one.fingerprint) for one in discrepancies]
        _print_table(("promise", "where", "what", "fingerprint"), rows)


def _print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    # As Text, for in a name or a key a [bracket] is no markup.
    table = Table(*(Column(name, overflow="fold") for name in header), show_header=bool(header))
    for row in rows:
        table.add_row(*(Text(visible(cell), overflow="fold") for cell in row))
    # Of the console and not of one print: that one's width is cut at the console's, which is 80 where no terminal is.
    console = Console()
    (console if console.is_terminal else Console(width=_WIDE)).print(table)
