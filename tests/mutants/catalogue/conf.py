"""Seeded bugs in the wiring of the tiers."""

from tests.mutants.catalogue.mutant import Mutant

MUTANTS = (
    Mutant(
        "each order worker has the whole REFUSED_PER_S",
        "more refused buys are logged than REFUSED_PER_S allows",
        "conf/wiring.py",
        " / settings.order.workers",
        "",
    ),
)
