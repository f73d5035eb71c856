"""A VFS that records every operation of SQLite in a trace. It is SQLite's default while in use."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

import apsw

from tests.faults.power.trace import (
    Created,
    Deleted,
    Event,
    FolderSynced,
    Synced,
    SyncFailed,
    Truncated,
    Written,
    names_after,
)
from tests.faults.vfs import PassthroughVFS, in_use

# On Unix, SQLite syncs the folder at the first sync of such a file, so that its name is durable too.
_JOURNALS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL


# Called with the name of a file before each sync of it. Returns whether the sync fails.
Fails = Callable[[str], bool]


def never(_name: str) -> bool:
    """Lets no sync fail."""
    return False


class RecordingDisk(PassthroughVFS):
    """Appends each operation to a trace. It knows files by their names alone, so all must be in one folder."""

    def __init__(self, trace: list[Event], fails: Fails) -> None:
        self.trace = trace
        self.fails = fails
        self._files = names_after(trace)
        self._next_file = 1 + max((event.file for event in trace if isinstance(event, Created)), default=0)
        self._names = threading.Lock()
        super().__init__("recording")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None:  # a temporary file, which does not matter after a power loss
            return apsw.VFSFile("unix", name, flags)
        with self._names:
            # The file may exist: the store creates an empty, private file before SQLite opens it.
            is_new = not os.path.exists(path) or os.path.basename(path) not in self._files
            file = _RecordedFile(self, name, flags)
            if is_new:
                self._files[os.path.basename(path)] = self._next_file
                self.trace.append(Created(os.path.basename(path), self._next_file))
                self._next_file += 1
            file.number = self._files[os.path.basename(path)]
        return file

    def fsync(self, descriptor: int) -> None:
        """Replaces `os.fsync`, by which the store itself syncs a file or the folder."""
        upto = len(self.trace)
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
        if name not in self._files:
            self.trace.append(FolderSynced(upto))
        elif self.fails(name):
            self.trace.append(SyncFailed(self._files[name], upto))
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        else:
            self.trace.append(Synced(self._files[name], upto))

    def xDelete(self, filename: str, syncdir: bool) -> None:
        with self._names:
            upto = len(self.trace)
            super().xDelete(filename, False)
            del self._files[os.path.basename(filename)]
            self.trace.append(Deleted(os.path.basename(filename)))
            if syncdir:
                self.trace.append(FolderSynced(upto + 1))


class _RecordedFile(apsw.VFSFile):
    """Records each operation after it is done: a sync that another thread began before it does not cover it."""

    number: int

    def __init__(self, disk: RecordingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._trace = disk.trace
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._fails = partial(disk.fails, os.path.basename(path))
        self._syncs_folder = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & _JOURNALS)

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._trace.append(Written(self.number, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._trace.append(Truncated(self.number, newsize))

    def xSync(self, flags: int) -> None:
        """Only records the sync. The model in power_loss.py decides what is on the disk."""
        upto = len(self._trace)
        if self._fails():
            self._trace.append(SyncFailed(self.number, upto))
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        self._trace.append(Synced(self.number, upto))
        if self._syncs_folder:
            self._syncs_folder = False
            self._trace.append(FolderSynced(upto))


@contextmanager
def recording(trace: list[Event], checkpoint_pages: int, fails: Fails = never) -> Iterator[None]:
    """Records all operations of SQLite and the store in `trace` while the block runs, see `in_use`."""
    disk = RecordingDisk(trace, fails)
    with patch("os.fsync", disk.fsync), in_use(disk, checkpoint_pages):
        yield
