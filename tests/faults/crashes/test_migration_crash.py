"""A kill at every statement of a migration."""

import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from tests.faults.crashes.migration import STORES
from tests.support.books import query
from tests.support.tiers import ROOT

SCHEMA = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
VERSION = "PRAGMA user_version"


@pytest.mark.parametrize("tier", STORES)
def test_a_killed_migration_has_changed_nothing_and_the_next_start_completes_it(tier: str, tmp_path: Path) -> None:
    whole = tmp_path / "whole.db"
    STORES[tier](whole).migrate()
    kills = 0
    for statement in count():
        file = tmp_path / f"{statement}.db"
        command = [sys.executable, "-m", "tests.faults.crashes.migration", tier, str(file), str(statement)]
        end = subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode
        if end == 0:
            break
        assert end == -signal.SIGKILL
        kills += 1
        if file.exists():
            assert query(file, VERSION) in ([(0,)], query(whole, VERSION)), "no migration is committed by half"
        STORES[tier](file).migrate()
        assert query(file, SCHEMA) == query(whole, SCHEMA)
        assert query(file, "PRAGMA quick_check") == [("ok",)]
    assert kills > len(query(whole, SCHEMA)) / 2, "it was killed at each statement that creates something"
