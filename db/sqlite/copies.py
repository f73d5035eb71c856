"""Copies a database: page by page from a connection, or its files as a crash left them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw

# Between two steps Python handles signals, such as a Ctrl-C.
_PAGES_A_STEP = 4_096


def copy_pages(source: apsw.Connection, path: Path) -> None:
    """Copies the database, as this connection sees it, to one file without -wal or -shm. Does not sync the copy."""
    with closing(apsw.Connection(str(path))) as copy:
        with copy.backup("main", source, "main") as pages:
            while not pages.done:
                pages.step(_PAGES_A_STEP)
        copy.pragma("journal_mode", "delete")


@contextmanager
def copied_with_journal(path: Path) -> Iterator[Path]:
    """Yields a temporary copy of a database and of the rollback journal that a crash left beside it.

    SQLite rolls a database with such a journal back before it reads it, and so changes the file. A crash during the
    first switch to WAL leaves a journal.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        with suppress(FileNotFoundError):  # another process may have just rolled it back
            shutil.copyfile(f"{path}-journal", f"{copy}-journal")
        shutil.copyfile(path, copy)
        yield copy
