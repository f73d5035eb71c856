"""Copies of a database: of its pages, and of its files as a crash has left them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw

_PAGES_A_STEP = 4_096


def copy_pages(source: apsw.Connection, path: Path) -> None:
    """Copy the database, as this connection sees it, to a plain file without companions. Not yet synced."""
    with closing(apsw.Connection(str(path))) as copy:
        with copy.backup("main", source, "main") as pages:
            while not pages.done:
                pages.step(_PAGES_A_STEP)
        copy.pragma("journal_mode", "delete")


@contextmanager
def copied_with_journal(path: Path) -> Iterator[Path]:
    """A copy of a file whose transaction a crash has cut off, for as long as the block runs.

    To read such a file is to roll it back, and so to change it. The first switch to WAL is such a transaction.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        with suppress(FileNotFoundError):  # another process has just rolled it back
            shutil.copyfile(f"{path}-journal", f"{copy}-journal")
        shutil.copyfile(path, copy)
        yield copy
