"""A disk that fails when it is told to. It is SQLite's default while it is in use: the store knows nothing of it."""

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import apsw

from tests.faults.vfs import StandIn


class Fault(StrEnum):
    """What goes wrong: the first at a sync, the others at a write."""

    SYNC = "sync"  # nobody knows what of the file is on the disk
    WRITE = "write"  # an I/O error, and nothing is written
    SHORT = "short"  # half is written, then the disk is full
    FULL = "full"  # nothing is written


# Asked before each write and each sync of a file, by its name: whether this fault is to happen there.
Strikes = Callable[[Fault, str], bool]


class FaultyDisk(StandIn):
    """Lets `strikes` decide."""

    def __init__(self, strikes: Strikes) -> None:
        self.strikes = strikes
        super().__init__("faulty")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        if name is None:
            return apsw.VFSFile("unix", name, flags)
        return _FaultyFile(self, name, flags)


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk
        self._name = os.path.basename(name if isinstance(name, str) else name.filename())

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._disk.strikes(Fault.WRITE, self._name):
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
        if self._disk.strikes(Fault.FULL, self._name):
            raise apsw.FullError("no room")
        if self._disk.strikes(Fault.SHORT, self._name):
            super().xWrite(data[: len(data) // 2], offset)
            raise apsw.FullError("no room for all of it")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if self._disk.strikes(Fault.SYNC, self._name):
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)


def told_by(switch: Path) -> Strikes:
    """Whatever stands in the file `switch`: a fault, and the start of the names that it strikes. No file, no fault."""

    def strikes(fault: Fault, name: str) -> bool:
        try:
            told, names = switch.read_text().split()
        except FileNotFoundError:
            return False
        return told == fault and name.startswith(names)

    return strikes


def fail_in_this_process() -> None:
    """For a tier: all that it opens from now on is on a disk that the file named by FAULT_SWITCH tells to fail."""
    _disks.append(FaultyDisk(told_by(Path(os.environ["FAULT_SWITCH"]))))


# SQLite uses it as long as the process lives.
_disks: list[FaultyDisk] = []
