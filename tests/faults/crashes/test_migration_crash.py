"""kill -9 at every statement of a migration."""

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
def test_a_migration_that_dies_at_any_statement_is_done_whole_at_the_next_start(tier: str, tmp_path: Path) -> None:
    whole = tmp_path / "whole.db"
    STORES[tier](whole).migrate()
    died = 0
    for statement in count():
        file = tmp_path / f"{statement}.db"
        command = [sys.executable, "-m", "tests.faults.crashes.migration", tier, str(file), str(statement)]
        end = subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode
        if end == 0:
            break
        assert end == -signal.SIGKILL
        died += 1
        if file.exists():
            assert query(file, VERSION) in ([(0,)], query(whole, VERSION)), "half of a migration is none"
        STORES[tier](file).migrate()
        assert query(file, SCHEMA) == query(whole, SCHEMA)
        assert query(file, "PRAGMA quick_check") == [("ok",)]
    assert died > len(query(whole, SCHEMA)) / 2, "it died at each statement that makes something"
