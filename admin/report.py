"""Prints the results of `python -m admin`: tables and sentences for people, or JSON for scripts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from admin.tables import print_table
from conf.output import print_json, visible
from db.sqlite.audit import Audit, Discrepancy
from db.sqlite.database import LARGE_WAL_BYTES
from db.sqlite.status import FileStatus, Status
from domain.owner import discrepancy_line
from domain.protocols import Placed
from domain.returns import Return, Returned, ReturnOutcome
from domain.values import Buy, Order, Product


@contextmanager
def showing_progress(what: str) -> Iterator[Callable[[str], None]]:
    """Yields a function that shows the current step at a terminal; without a terminal it does nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _step: None
        return
    with console.status(what) as line:
        yield lambda step: line.update(Text(visible(f"{what}: {step}")))


def print_status(state: Status, as_json: bool) -> None:
    """Prints the counts and sizes of the store."""
    if as_json:
        print_json(asdict(state))
        return
    last = state.last_order
    rows = [
        ("products", f"{state.products:,}, {state.retired:,} of them retired"),
        ("stock", f"{state.stock:,} pieces"),
        ("orders", f"{state.orders:,}"),
        ("refused buys", f"{state.refused:,}"),
        ("returns", f"{state.returns:,}"),
        ("in doubt", _in_doubt(state)),
        ("last order", f"{last.number}: {last.quantity} {last.product}, {last.time}" if last else "none"),
    ]
    rows += [(file.name, _sizes(file)) for file in state.files]
    print_table((), rows)


def _sizes(file: FileStatus) -> str:
    if file.wal_bytes is None:
        return f"{decimal(file.bytes)}, version {file.schema}"
    large = " (large: a reader keeps an old snapshot of it open)" if file.wal_bytes > LARGE_WAL_BYTES else ""
    return f"{decimal(file.bytes)}, write-ahead log {decimal(file.wal_bytes)}{large}, schema {file.schema}"


def print_audit(result: Audit, state: Status | None, seconds: float, as_json: bool) -> None:
    """Prints the discrepancies, then a summary. `state` is None when the status cannot be read."""
    if as_json:
        print_json({**_encode_audit(result), "seconds": round(seconds, 3), "status": state and asdict(state)})
        return
    _print_result(result)
    print(f"{_summary(result, state)}; {seconds:.1f} s.")


def print_copy(result: Audit, state: Status | None, folder: Path, only: str | None, as_json: bool) -> None:
    """Prints the result of a backup or a restore: a whole store in the folder, or `only` one of its files."""
    if as_json:
        print_json({"folder": str(folder), "only": only, **_encode_audit(result), "status": state and asdict(state)})
        return
    _print_result(result)
    print(f"{visible(str(folder / only if only else folder))} is complete. {_summary(result, state)}.")
    repairable = sum(discrepancy.repair is not None for discrepancy in result.discrepancies)
    if repairable:
        print(f"`reconcile --apply` repairs {_count(repairable, 'discrepancy', 'discrepancies')}.")


def print_copied_in(result: Audit, state: Status, folder: Path, as_json: bool) -> None:
    """Prints the audit of the files that were copied to PostgreSQL, and the status of the store there."""
    if as_json:
        print_json({"folder": str(folder), **_encode_audit(result), "status": asdict(state)})
        return
    _print_result(result)
    print(f"{visible(str(folder))} is on PostgreSQL. {_summary(result, state)}.")


def print_reconciled(
    repaired: Sequence[tuple[Buy | Return, Placed | ReturnOutcome]], remaining: Audit, as_json: bool
) -> None:
    """Prints the repaired buys and returns and the remaining discrepancies, the repairable ones first."""
    if as_json:
        outcomes = [{"key": one.key, "outcome": _outcome(answer)} for one, answer in repaired]
        print_json({"repaired": outcomes, **_encode_audit(remaining)})
        return
    if repaired:
        rows = [(one.key, _describe(one), _outcome(answer)) for one, answer in repaired]
        print_table(("repaired key", "buy or return", "is now"), rows)
    repairable = [discrepancy for discrepancy in remaining.discrepancies if discrepancy.repair is not None]
    others = [discrepancy for discrepancy in remaining.discrepancies if discrepancy.repair is None]
    if repairable:
        _print_discrepancies(repairable)
        print(f"{len(repairable):,} can be repaired: run it with --apply.")
    if others:
        _print_discrepancies(others)
        print(f"{len(others):,} cannot be repaired by appending, see docs/books.md.")
    if remaining.is_clean:
        print("Nothing is left to repair.")


def print_change(name: str, product: Product | None, key: str, is_new: bool, as_json: bool) -> None:
    """Prints the outcome of a change. `product` is None when the product is not for sale."""
    if as_json:
        print_json({"done": "now" if is_new else "before", "key": key, "product": product and asdict(product)})
        return
    state = f"{product.quantity:,} pieces at {product.price_cents / 100:.2f}" if product else "not for sale any more"
    print(f"{'Done' if is_new else 'Already done'}. {visible(name)}: {state}. Key: {key}")


def print_returned(returned: Returned, order: Order, key: str, as_json: bool) -> None:
    """Prints a return and how much of its order was given back up to it."""
    if as_json:
        print_json({"key": key, "return": asdict(returned)})
        return
    print(
        f"Done. Order {returned.number}: {returned.quantity:,} {visible(order.product)} given back at {returned.time}, "
        f"{returned.returned:,} of {order.quantity:,} by then. Key: {key}"
    )


def print_accepted(fingerprint: str, accepted: Discrepancy | None, key: str, is_new: bool, as_json: bool) -> None:
    """Prints the outcome of `accept`. `accepted` is None when the audit does not find the discrepancy any more."""
    if as_json:
        discrepancy = accepted and _encode_discrepancy(accepted)
        print_json({"done": "now" if is_new else "before", "key": key, "discrepancy": discrepancy})
        return
    what = "not found any more"
    if accepted is not None:
        what = visible(discrepancy_line(accepted.promise, accepted.where, accepted.what))
    print(f"{'Done' if is_new else 'Already done'}. Accepted {fingerprint}: {what}. Key: {key}")


def print_login_link(link: str, as_json: bool) -> None:
    """Prints a link that logs in, alone in its line."""
    if as_json:
        print_json({"link": link})
        return
    print(link)


def _encode_audit(result: Audit) -> dict[str, Any]:
    discrepancies = [{**_encode_discrepancy(one), "repairable": one.repair is not None} for one in result.discrepancies]
    accepted = [
        {**_encode_discrepancy(one.discrepancy), "note": one.note, "by": one.by, "time": one.time}
        for one in result.accepted
    ]
    return {"clean": result.is_clean, "discrepancies": discrepancies, "accepted": accepted}


def _encode_discrepancy(one: Discrepancy) -> dict[str, str]:
    return {"promise": one.promise, "where": one.where, "what": one.what, "fingerprint": one.fingerprint}


def _summary(result: Audit, state: Status | None) -> str:
    summary = "Clean" if result.is_clean else _count(len(result.discrepancies), "discrepancy", "discrepancies")
    if result.accepted:
        summary += f", {len(result.accepted):,} accepted"
    if state is None:
        return summary
    return (
        f"{summary}: {_count(state.orders, 'order')}, {_count(state.refused, 'refused buy')}, "
        f"{_count(state.ledger_entries, 'ledger entry', 'ledger entries')} of {_count(state.products, 'product')}, "
        f"{_count(state.returns, 'return')}; in doubt: {_in_doubt(state)}"
    )


def _count(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def _in_doubt(state: Status) -> str:
    if not state.intents and not state.return_intents:
        return "none"
    counts = f"{_count(state.intents, 'buy')}, {_count(state.return_intents, 'return')}"
    return f"{counts}, the oldest for {state.oldest_intent_s:.1f} s"


def _describe(one: Buy | Return) -> str:
    if isinstance(one, Buy):
        return f"{one.quantity} {one.product}"
    return f"{one.quantity} of order {one.number} back"


def _outcome(answer: Placed | ReturnOutcome) -> str:
    match answer:
        case int():
            return f"order {answer}"
        case Returned():
            return f"{_count(answer.quantity, 'piece')} of order {answer.number} given back"
    return answer.message


def _print_result(result: Audit) -> None:
    """Prints the open discrepancies, then the accepted ones."""
    _print_discrepancies(result.discrepancies)
    if result.accepted:
        rows = [
            (one.discrepancy.promise, one.discrepancy.where, one.discrepancy.what, f"{one.note}, {one.by}, {one.time}")
            for one in result.accepted
        ]
        print_table(("promise", "where", "what", "accepted: reason, by, time"), rows)


def _print_discrepancies(discrepancies: Sequence[Discrepancy]) -> None:
    if discrepancies:
        rows = [(one.promise, one.where, one.what, one.fingerprint) for one in discrepancies]
        print_table(("promise", "where", "what", "fingerprint"), rows)
