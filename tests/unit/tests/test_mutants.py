"""The catalogue of seeded bugs matches the code: each bug can be applied."""

import pytest

from tests.mutants.__main__ import files_in_table, likely_suites, table
from tests.mutants.catalogue import MUTANTS, Mutant
from tests.support.tiers import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_applied(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1


def test_mutants_have_different_names() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_the_test_that_caught_a_mutant_last_runs_first() -> None:
    caught: dict[Mutant, str | None] = {mutant: None for mutant in MUTANTS}
    caught[MUTANTS[0]] = "tests/unit/wsgi_apps/test_base.py::test_a_name[a | b]"
    assert files_in_table(table(caught)) == {MUTANTS[0].name: "tests/unit/wsgi_apps/test_base.py"}


def test_the_tests_of_a_mutants_own_module_run_before_all_others() -> None:
    mutant = Mutant("a bug", "a damage", "wsgi_apps/tier_connection.py", "old", "new")
    own = [
        "tests/unit/wsgi_apps/test_tier_connection.py",
        "tests/integration/test_tier_connection.py",
        "tests/unit/wsgi_apps",
    ]
    assert likely_suites(mutant, {}) == own
    assert likely_suites(mutant, {"a bug": "tests/e2e/test_run.py"}) == ["tests/e2e/test_run.py", *own]
