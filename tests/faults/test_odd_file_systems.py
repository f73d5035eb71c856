"""File systems that cannot do all that others can. It takes a C compiler, for a preloaded library plays them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.support.tiers import ROOT, Tiers, running

SOURCE = Path(__file__).with_name("odd_file_system.c")


@pytest.fixture
def preloaded(tmp_path: Path) -> dict[str, str]:
    """The environment of a program on such a file system."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("ODD FILE SYSTEMS NOT TESTED, there is no C compiler here: apt install gcc")
    library = tmp_path / "odd_file_system.so"
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    return {"LD_PRELOAD": str(library)}


def test_folders_that_cannot_be_synced_are_passed_over(tmp_path: Path, preloaded: dict[str, str]) -> None:
    with running(tmp_path / "data", NO_FOLDER_SYNC="1", **preloaded) as tiers:
        assert requests.post(tiers.url("front_end") + "/Tux/1", timeout=10).json() == {"data": {"order_number": "0"}}
        backup = [sys.executable, "-m", "admin", "backup", str(tmp_path / "backup")]
        assert subprocess.run(backup, cwd=ROOT, env=tiers.environment, check=False).returncode == 0


@pytest.mark.parametrize("tier", ["catalog", "order"])
def test_without_shared_memory_the_start_is_refused_and_says_why(
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
    assert start.returncode == 2, "no later try can mend it"
    assert start.stderr.count("\n") == 1
    assert "write-ahead logging (WAL) needs shared memory, which the file system " in start.stderr
