"""A VFS whose writes and syncs fail on demand. It is SQLite's default while in use, so the store needs no change."""

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import apsw

from tests.faults.vfs import PassthroughVFS


class Fault(StrEnum):
    """A failure of a sync or, all others, of a write."""

    SYNC = "sync"  # any part of the file may be on the disk
    WRITE = "write"  # an I/O error, and nothing is written
    SHORT = "short"  # half is written, then the disk is full
    FULL = "full"  # nothing is written


# Called with a fault and the name of a file before each write or sync of it. Returns whether the fault happens now.
ShouldFail = Callable[[Fault, str], bool]


class FaultyDisk(PassthroughVFS):
    """A disk whose writes and syncs fail when `should_fail` returns True."""

    def __init__(self, should_fail: ShouldFail) -> None:
        self.should_fail = should_fail
        super().__init__("faulty")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        if name is None:
            return apsw.VFSFile("unix", name, flags)
        return _FaultyFile(self, name, flags)


class _FaultyFile(apsw.VFSFile):
    """A file whose writes and syncs fail when the disk says that they should."""

    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk
        self._name = os.path.basename(name if isinstance(name, str) else name.filename())

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._disk.should_fail(Fault.WRITE, self._name):
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
        if self._disk.should_fail(Fault.FULL, self._name):
            raise apsw.FullError("no room")
        if self._disk.should_fail(Fault.SHORT, self._name):
            super().xWrite(data[: len(data) // 2], offset)
            raise apsw.FullError("no room for all of it")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if self._disk.should_fail(Fault.SYNC, self._name):
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)


def switched_by(switch: Path) -> ShouldFail:
    """Returns a `should_fail` that reads the file `switch`: a fault, and the start of the names of the files it hits.

    Without that file nothing fails.
    """

    def should_fail(fault: Fault, name: str) -> bool:
        try:
            wanted, names = switch.read_text().split()
        except FileNotFoundError:
            return False
        return wanted == fault and name.startswith(names)

    return should_fail


# Keeps a reference: SQLite keeps none, and uses the VFS as long as the process lives.
_disks: list[FaultyDisk] = []


def fail_in_this_process() -> None:
    """Makes every database that this process opens fail as the file named by FAULT_SWITCH says."""
    _disks.append(FaultyDisk(switched_by(Path(os.environ["FAULT_SWITCH"]))))
