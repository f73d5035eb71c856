"""The seeded bugs: small, plausible mistakes, each a change of a few words in one file."""

from tests.mutants.catalogue import conf, db, domain, login, postgres, postgres_stores, returns, server, wsgi_apps
from tests.mutants.catalogue.mutant import Mutant

__all__ = ["MUTANTS", "Mutant"]

MUTANTS = (
    domain.MUTANTS
    + db.MUTANTS
    + postgres.MUTANTS
    + postgres_stores.MUTANTS
    + wsgi_apps.MUTANTS
    + login.MUTANTS
    + server.MUTANTS
    + conf.MUTANTS
    + returns.MUTANTS
)
