"""Starts tiers that must refuse to start."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from conf.settings import TIERS
from tests.support.tiers import ROOT, clean_environment, free_port

# The start of a shell command for `shell_start`: "/catalog.py" and options follow.
GUNICORN = f"exec {sys.executable} -m gunicorn -c conf"


def failed_start(tier: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Starts a tier that must not start, and returns the ended process."""
    return subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", f"conf/{tier}.py"],
        cwd=ROOT,
        env=_environment(tier, settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def shell_start(tier: str, data: Path, script: str, files: Sequence[int] = (), **settings: str) -> tuple[int, str]:
    """Runs a shell script that starts a tier, which must not start. Returns its exit code and output.

    The script inherits the file descriptors `files`.
    """
    ended = subprocess.run(
        ["sh", "-c", script],
        cwd=ROOT,
        env=_environment(tier, {"DATA_DIR": str(data), **settings}),
        pass_fds=files,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    return ended.returncode, ended.stdout


def _environment(tier: str, settings: dict[str, str]) -> dict[str, str]:
    """Returns the environment of a tier at a free address."""
    return clean_environment() | {f"{TIERS[tier].prefix}_BIND": f"127.0.0.1:{free_port()}"} | settings
