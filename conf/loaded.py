"""Finds the files of loaded code that have changed on the disk since they were loaded.

A process must not load more code after a change: half of it would be old and half of it new. Therefore a tier's master
loads all code that its workers need, and workers that it starts later have the same code.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

# The time of a file's last change in nanoseconds, and its size in bytes.
FileState = tuple[int, int]


def loaded_files() -> Mapping[Path, FileState | None]:
    """Returns the files of all loaded modules, each with its state."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return {path: _state(path) for path in (Path(file) for file in files if file)}


def changed_files(states: Mapping[Path, FileState | None]) -> list[Path]:
    """Returns the files that are gone or no longer in their state."""
    return sorted(path for path, state in states.items() if _state(path) != state)


def _state(path: Path) -> FileState | None:
    """Returns the state of a file; None when it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
