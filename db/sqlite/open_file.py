"""Detects that the files of an open connection were deleted, moved, replaced or overwritten.

A connection to a deleted or replaced file keeps working, but no later connection finds its commits. The same holds for
the write-ahead log (-wal) and the shared memory (-shm). Each commit first checks that the three names still belong to
the opened files.
"""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

import apsw

# Device and inode.
FileId = tuple[int, int]


class FileMoved(apsw.Error):
    """The path no longer names the file that this process has open, or has used first."""


class FileOverwritten(FileMoved):
    """The file is the same and has become shorter: the missing pages may be in its WAL."""


class CompanionMoved(FileMoved):
    """The database is in its place, but its -wal or -shm is not: a new connection sees an older state of it."""


def file_id(path: str) -> FileId | None:
    """Returns device and inode of the file that has this name now; None when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class OpenFile:
    """The identity of an open connection's database, -wal and -shm, as it was when the connection was opened."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection = connection
        self._name = str(path)  # not resolved: a link in it is followed anew at each check
        self._wal = connection.filename_wal
        self._shm = f"{self._wal.removesuffix('wal')}shm"
        self.id = file_id(self._name)
        self._size_bytes = 0  # at the last check
        self._companions = file_id(self._wal), file_id(self._shm)
        self.require_unmoved()

    def require_database_unmoved(self) -> None:
        """Raises FileMoved unless the database is where it was. The check takes 3 to 6 µs, little even for a query."""
        try:
            status = os.stat(self._name)
        except OSError as error:
            raise FileMoved(f"the file was deleted or moved while it was open ({error.strerror})") from None
        if (status.st_dev, status.st_ino) != self.id:
            raise FileMoved("the file was replaced while it was open")
        # The store never makes the file smaller. A VACUUM by the owner does: a new connection then opens it.
        if status.st_size < self._size_bytes:
            raise FileOverwritten("the file was cut short, or written over, while it was open")
        self._size_bytes = status.st_size

    def require_unmoved(self) -> int:
        """Raises FileMoved unless the database, its -wal and its -shm are where they were. Returns the WAL's bytes.

        The check runs before each commit and takes 12 µs (`python -m bench.place`). A commit takes 200 µs and more.
        """
        moved = ctypes.c_int(0)
        # SQLite compares the file that it has open with the name under which it was opened.
        self._connection.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, ctypes.addressof(moved))
        if moved.value:
            raise FileMoved("the file was deleted, moved or replaced while it was open")
        self.require_database_unmoved()
        try:
            wal, shm = os.stat(self._wal), os.stat(self._shm)
        except OSError as error:
            raise CompanionMoved(
                f"{error.filename} was deleted or moved while it was open; restart the store"
            ) from None
        if ((wal.st_dev, wal.st_ino), (shm.st_dev, shm.st_ino)) != self._companions:
            raise CompanionMoved(f"{self._wal} or -shm was replaced while it was open; restart the store")
        return wal.st_size

    def rescue_wal(self) -> None:
        """Runs a checkpoint of a deleted WAL, which only this process still has open.

        Runs none once another process has made a new WAL: that process may have changed the same pages.
        """
        if file_id(self._wal) is None:
            with suppress(apsw.Error):
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)
        else:
            self.keep_wal_on_close()

    def keep_wal_on_close(self) -> None:
        """Prevents the checkpoint that closing the connection would run."""
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
