"""Copies a database: page by page from a connection, or its files as a crash left them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw

_PAGES_A_STEP = 4_096


def copy_pages(source: apsw.Connection, path: Path) -> None:
    """Copies the database, as this connection sees it, to one file without -wal or -shm. It is not synced."""
    with closing(apsw.Connection(str(path))) as copy:
        with copy.backup("main", source, "main") as pages:
            while not pages.done:
                pages.step(_PAGES_A_STEP)
        copy.pragma("journal_mode", "delete")


@contextmanager
def copied_with_journal(path: Path) -> Iterator[Path]:
    """Yields a temporary copy of a database and of its rollback journal, which a crash left.

    SQLite rolls such a database back when it reads it, and so changes it. A crash during the first switch to WAL leaves
    one.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        with suppress(FileNotFoundError):  # another process may have just rolled it back
            shutil.copyfile(f"{path}-journal", f"{copy}-journal")
        shutil.copyfile(path, copy)
        yield copy
