"""Audits the promises I1 to I4 and I6 (docs/books.md) from the two databases alone.

The store may be selling meanwhile. History is append-only, so the audit reads it in chunks (db/sqlite/snapshots.py),
each from the two files in the order that makes a buy or a return in flight no discrepancy.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import apsw

from db.sqlite.audit import files, intents, names, orders, refusals, returns, stock
from db.sqlite.audit.acceptance import Accepted, acceptances
from db.sqlite.audit.discrepancy import Discrepancy
from db.sqlite.snapshots import Snapshots

__all__ = ["ALL_CHECKS", "CHECKS_OF_A_COPY", "Accepted", "Audit", "Check", "Discrepancy", "audit", "checks_as_of"]

Check = Callable[[Snapshots], Iterator[Discrepancy]]

# Without intents.check: in a copy no order tier settles the buys and returns in doubt.
CHECKS_OF_A_COPY: tuple[Check, ...] = (
    files.check,
    names.check,
    stock.check,
    orders.check,
    refusals.check,
    returns.check,
)
ALL_CHECKS: tuple[Check, ...] = (*CHECKS_OF_A_COPY, intents.check)


def checks_as_of(time_s: float) -> Sequence[Check]:
    """Returns all checks, for a copy that shows a running store as it was at this time (POSIX seconds)."""
    return (*CHECKS_OF_A_COPY, intents.check_as_of(time_s))


@dataclass(frozen=True, slots=True)
class Audit:
    """The discrepancies, in the order of the checks; those that the owner has accepted are apart."""

    discrepancies: tuple[Discrepancy, ...]
    accepted: tuple[Accepted, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether there is no discrepancy but accepted ones."""
        return not self.discrepancies


def audit(
    snapshots: Snapshots, checks: Sequence[Check] = ALL_CHECKS, on_progress: Callable[[str], None] = lambda _check: None
) -> Audit:
    """Runs the `checks`, and calls `on_progress` with the name of each before it begins.

    Raises apsw.BusyError and the errors in db.sqlite.errors.DISK_ERRORS when a check cannot be completed.
    """
    found: list[Discrepancy] = []
    for check in checks:
        name = check.__module__.rpartition(".")[2]
        on_progress(name)
        try:
            found.extend(check(snapshots))
        except (apsw.SQLError, apsw.CorruptError, TypeError) as error:
            # A missing table or column, a damaged page, or a value of a type that a STRICT table refuses.
            found.append(Discrepancy("schema", name, f"cannot be checked: {error}", hides=True))
    return _split_accepted(found, acceptances(snapshots))


def _split_accepted(found: Sequence[Discrepancy], signed: Mapping[str, tuple[str, str, str]]) -> Audit:
    """Separates accepted discrepancies from the others. Each of several equal ones needs its own acceptance."""
    seen: Counter[Discrepancy] = Counter()
    wrong, accepted = [], []
    for one in found:
        seen[one] += 1
        one = replace(one, nth=seen[one])
        if one.fingerprint in signed and not one.hides:
            accepted.append(Accepted(one, *signed[one.fingerprint]))
        else:
            wrong.append(one)
    return Audit(tuple(wrong), tuple(accepted))
