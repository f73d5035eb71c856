"""Seeded bugs in the wiring of the tiers."""

from tests.mutants.catalogue.mutant import Mutant

MUTANTS = (
    Mutant(
        "each order worker has the whole allowance",
        "more refused buys are written down than REFUSED_PER_S says",
        "conf/wiring.py",
        " / settings.order.workers",
        "",
    ),
)
