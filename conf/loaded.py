"""The files of the code that this process has loaded, and which of them have changed since.

A process whose code has changed on the disk must not load more of it: half of it would be old and half of it new. So
a tier's master loads all that its workers need, and workers that it starts later have the same code.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

# Of a file: when it was changed, in nanoseconds, and its size.
Mark = tuple[int, int]


def mark_loaded() -> Mapping[Path, Mark | None]:
    """The files of all modules that are loaded, with what tells later whether they are as they were."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return {path: _mark(path) for path in (Path(file) for file in files if file)}


def changed_since(marks: Mapping[Path, Mark | None]) -> list[Path]:
    """Those that have changed or gone."""
    return sorted(path for path, mark in marks.items() if _mark(path) != mark)


def _mark(path: Path) -> Mark | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size
