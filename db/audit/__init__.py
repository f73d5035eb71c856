"""Whether the promises I1 to I6 hold, as an auditor would find out: from both databases, and from nothing else.

The store may be selling meanwhile. History is append-only, so an audit need not stop it, nor look at all of it at one
moment: it reads a piece at a time (db/snapshots.py), in the order in which a buy in flight is no discrepancy.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import apsw

from db.audit import files, intents, names, orders, refusals, stock
from db.audit.acceptance import Accepted, signatures
from db.audit.discrepancy import Discrepancy
from db.snapshots import Snapshots

__all__ = ["ALL_CHECKS", "CHECKS_OF_A_COPY", "Accepted", "Audit", "Discrepancy", "audit"]

Check = Callable[[Snapshots], Iterator[Discrepancy]]

# What holds of a copy too. The buys in doubt in it wait for a tier that settles them.
CHECKS_OF_A_COPY: tuple[Check, ...] = (files.check, names.check, stock.check, orders.check, refusals.check)
ALL_CHECKS: tuple[Check, ...] = (*CHECKS_OF_A_COPY, intents.check)


@dataclass(frozen=True, slots=True)
class Audit:
    """The findings, in the order of the checks. What the owner has accepted is apart from the rest."""

    discrepancies: tuple[Discrepancy, ...]
    accepted: tuple[Accepted, ...] = ()

    @property
    def is_clean(self) -> bool:
        return not self.discrepancies


def audit(
    snapshots: Snapshots, checks: Sequence[Check] = ALL_CHECKS, on_progress: Callable[[str], None] = lambda _check: None
) -> Audit:
    """Run the `checks`. `on_progress` hears the name of each check before it begins.

    Raises apsw.BusyError and the errors in db.errors.DISK_ERRORS: then nothing is known.
    """
    found: list[Discrepancy] = []
    for check in checks:
        name = check.__module__.rpartition(".")[2]
        on_progress(name)
        try:
            found.extend(check(snapshots))
        except (apsw.SQLError, apsw.CorruptError, TypeError) as error:
            # A table or a column that is not there, a page that makes no sense, or a value that no STRICT table takes.
            found.append(Discrepancy("schema", name, f"cannot be checked: {error}", hides=True))
    return _sorted_out(found, signatures(snapshots))


def _sorted_out(found: Sequence[Discrepancy], signed: Mapping[str, tuple[str, str, str]]) -> Audit:
    """Take what was accepted apart. Of discrepancies that are equal word by word, each is accepted by itself."""
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
