"""Finds the files of loaded code that have changed on the disk since they were loaded.

A process must not load more code after a change: half of it would be old and half of it new. So a tier's master loads
all code that its workers need, and workers that it starts later have the same code.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

# The state of a file: when it was changed, in nanoseconds, and its size in bytes.
Mark = tuple[int, int]


def mark_loaded() -> Mapping[Path, Mark | None]:
    """Returns the files of all loaded modules, each with its state."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return {path: _mark(path) for path in (Path(file) for file in files if file)}


def changed_since(marks: Mapping[Path, Mark | None]) -> list[Path]:
    """Returns the files that are gone or no longer have their mark."""
    return sorted(path for path, mark in marks.items() if _mark(path) != mark)


def _mark(path: Path) -> Mark | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size
