"""The files of a connection by their names and by what they are: both must stay the same for a commit to count.

A database whose file was deleted, moved or replaced goes on working for whoever has it open, and what is committed
there nobody finds again. The same holds for its write-ahead log and its shared memory.
"""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

import apsw

# Device and inode.
Stamp = tuple[int, int]


class FileMoved(apsw.Error):
    """The name does not stand for the file any more that this process has open, or has begun with."""


class WrittenOver(FileMoved):
    """The file is the same, and is shorter than it was: its log may have what is now missing in it."""


class CompanionMoved(FileMoved):
    """The database is there, and its log or its shared memory is not: who opens it now sees an older state of it."""


def stamp_of(path: str) -> Stamp | None:
    """Which file has this name now; None when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class OpenFile:
    """The files of an open connection, as they were when it began with them."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection = connection
        self._name = str(path)  # links in it are followed, as they stand at each look
        self._log = connection.filename_wal
        self._index = f"{self._log.removesuffix('wal')}shm"
        self.stamp = stamp_of(self._name)
        self._bytes = 0
        self._companions = stamp_of(self._log), stamp_of(self._index)
        self.require_unmoved()

    def require_there(self) -> None:
        """Raises FileMoved unless the database is where it was. 3 to 6 µs: also queries can afford it."""
        try:
            status = os.stat(self._name)
        except OSError as error:
            raise FileMoved(f"the file was deleted or moved while it was open ({error.strerror})") from None
        if (status.st_dev, status.st_ino) != self.stamp:
            raise FileMoved("the file was replaced while it was open")
        # It grows only. An owner's VACUUM makes it smaller, and a new connection then goes on.
        if status.st_size < self._bytes:
            raise WrittenOver("the file was cut short, or written over, while it was open")
        self._bytes = status.st_size

    def require_unmoved(self) -> int:
        """The same for the database, its log and its shared memory, before a commit; the bytes of the log.

        12 µs (`python -m bench.place`), beside the 200 µs and more of a commit that the disk has.
        """
        moved = ctypes.c_int(0)
        # SQLite compares the file that it has open with the name that it has opened.
        self._connection.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, ctypes.addressof(moved))
        if moved.value:
            raise FileMoved("the file was deleted, moved or replaced while it was open")
        self.require_there()
        try:
            log, index = os.stat(self._log), os.stat(self._index)
        except OSError as error:
            raise CompanionMoved(
                f"{error.filename} was deleted or moved while it was open; restart the store"
            ) from None
        if ((log.st_dev, log.st_ino), (index.st_dev, index.st_ino)) != self._companions:
            raise CompanionMoved(f"{self._log} or -shm was replaced while it was open; restart the store")
        return log.st_size

    def rescue(self) -> None:
        """Bring what the deleted log has into the database, which is there: nobody else can.

        Not once others have opened the database without it, for they may have changed what this would write over.
        """
        if stamp_of(self._log) is None:
            with suppress(apsw.Error):
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)
        else:
            self.keep_log()

    def keep_log(self) -> None:
        """Leave the log as it is when the connection is closed."""
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
