"""The Makefile says what a target needs where it is missing."""

import subprocess
from pathlib import Path

import pytest

from tests.support.tiers import ROOT


@pytest.mark.parametrize("target", ["browser", "screenshots"])
def test_a_target_that_needs_chromium_says_what_to_install(target: str, tmp_path: Path) -> None:
    """The folder of PATH is empty, so no program is found. `-o` keeps make from installing packages."""
    command = ["/usr/bin/make", "-o", ".venv/dev", "-o", ".venv/bench", target]
    ended = subprocess.run(command, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert ended.returncode != 0
    assert ended.stderr.startswith(f"make {target} needs the browser Chromium; on Debian: apt-get install chromium\n")
