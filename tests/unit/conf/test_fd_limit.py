"""A tier starts even when it may not raise its limit of open files."""

import subprocess
import sys

import pytest

from tests.support.tiers import ROOT


@pytest.mark.parametrize("refused", ["OSError(1, 'no')", "ValueError('no')"])
def test_a_tier_starts_when_it_may_not_raise_the_fd_limit(refused: str) -> None:
    """Runs in a process of its own, because the import of gunicorn's settings changes the process."""
    tier = f"""
import resource
def refuse(*_limits):
    print("asked")
    raise {refused}
resource.getrlimit = lambda _kind: (64, 1 << 20)
resource.setrlimit = refuse
from conf import common
"""
    started = subprocess.run([sys.executable, "-c", tier], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (started.returncode, started.stdout) == (0, "asked\n"), started.stderr
