"""Whether the promises I1 to I6 hold, as an auditor would find out: from both databases, and from nothing else.

The store may be selling meanwhile. History is append-only, so an audit need not stop it, nor look at all of it at one
moment: it reads a piece at a time (db/snapshots.py), in the order in which a buy in flight is no discrepancy.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import apsw

from db.audit import files, intents, names, orders, refusals, stock
from db.audit.discrepancy import Discrepancy
from db.snapshots import Snapshots

__all__ = ["ALL_CHECKS", "CHECKS_OF_A_COPY", "Audit", "Discrepancy", "audit"]

Check = Callable[[Snapshots], Iterator[Discrepancy]]

# What holds of a copy too. The buys in doubt in it wait for a tier that settles them.
CHECKS_OF_A_COPY: tuple[Check, ...] = (files.check, names.check, stock.check, orders.check, refusals.check)
ALL_CHECKS: tuple[Check, ...] = (*CHECKS_OF_A_COPY, intents.check)


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found, in the order of the checks."""

    discrepancies: tuple[Discrepancy, ...]

    @property
    def is_clean(self) -> bool:
        return not self.discrepancies


def audit(
    snapshots: Snapshots, checks: Sequence[Check] = ALL_CHECKS, watch: Callable[[str], None] = lambda _check: None
) -> Audit:
    """What the `checks` find. `watch` hears the name of each check before it begins.

    Raises apsw.BusyError and the errors in db.connection.TROUBLE: then nothing is known.
    """
    found: list[Discrepancy] = []
    for check in checks:
        name = check.__module__.rpartition(".")[2]
        watch(name)
        try:
            found.extend(check(snapshots))
        except (apsw.SQLError, apsw.CorruptError, TypeError) as error:
            # A table or a column that is not there, a page that makes no sense, or a value that no STRICT table takes.
            found.append(Discrepancy("schema", name, f"cannot be checked: {error}"))
    return Audit(tuple(found))
