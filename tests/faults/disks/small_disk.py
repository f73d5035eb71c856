"""Mounts a small file system of its own for a test. The disk is a tmpfs, which only root can mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DISK_BYTES = 8_000_000


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mounts a small file system on the folder while the block runs. Skips the test where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
    refused = "this user is not root" if os.geteuid() else subprocess.run(mount, capture_output=True, text=True).stderr
    if refused:
        pytest.skip(f"SMALL DISK NOT TESTED, no tmpfs can be mounted here: {refused}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
