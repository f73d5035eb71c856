"""File systems that cannot sync a folder, or have no shared memory. A preloaded C library simulates them."""

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.faults.preload import compile_library
from tests.support.tiers import ROOT, Tiers, running

SOURCE = Path(__file__).with_name("odd_file_system.c")


@pytest.fixture
def preloaded(tmp_path: Path) -> dict[str, str]:
    """The environment variable that preloads the library. NO_FOLDER_SYNC and NO_SHARED_MEMORY choose its fault."""
    return {"LD_PRELOAD": str(compile_library(SOURCE, tmp_path))}


def test_a_store_works_where_folders_cannot_be_synced(tmp_path: Path, preloaded: dict[str, str]) -> None:
    with running(tmp_path / "data", NO_FOLDER_SYNC="1", **preloaded) as tiers:
        assert requests.post(tiers.url("front_end") + "/Tux/1", timeout=10).json() == {"data": {"order_number": "0"}}
        backup = [sys.executable, "-m", "admin", "backup", str(tmp_path / "backup")]
        assert subprocess.run(backup, cwd=ROOT, env=tiers.environment, check=False).returncode == 0


@pytest.mark.parametrize("tier", ["catalog", "order"])
def test_a_start_without_shared_memory_is_refused_with_the_reason(
    tmp_path: Path, preloaded: dict[str, str], tier: str
) -> None:
    tiers = Tiers(tmp_path / "data", NO_SHARED_MEMORY="1", **preloaded)
    start = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", f"conf/{tier}.py"],
        cwd=ROOT,
        env=tiers.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert start.returncode == 2, "not the exit code that makes the supervisor try again"
    assert start.stderr.count("\n") == 1
    assert "write-ahead logging (WAL) needs shared memory, which the file system " in start.stderr
