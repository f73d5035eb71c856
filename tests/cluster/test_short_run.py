"""A short fault run on a whole cluster: `make cluster-short`, a stage of CI. It needs etcd and HAProxy."""

import subprocess
import sys

from tests.support.tiers import ROOT, clean_environment


def test_a_lost_leader_and_killed_tiers_lose_repeat_and_oversell_no_buy() -> None:
    """The program prints a line for each fault and each finding, and ends with 1 for any finding."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.cluster", "--short"],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(ended.stdout)
    assert ended.returncode == 0
    assert "0 lost, 0 doubled, 0 oversold, 0 gaps, 0 in doubt, 0 unanswered, 0 wrong" in ended.stdout
