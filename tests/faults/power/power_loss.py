"""What may be on a disk after a power loss: all that was synced, and any part of the rest, sector by sector."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Generic, TypeVar

from tests.faults.power.trace import Created, Deleted, Event, FolderSynced, Synced, SyncFailed, Truncated, Written

SECTOR_BYTES = 512

C = TypeVar("C")


class _Pending(Generic[C]):
    """Changes that no sync has made certain yet, oldest first, each with its place in the trace."""

    def __init__(self) -> None:
        self._changes: deque[tuple[int, C]] = deque()

    def __iter__(self) -> Iterator[C]:
        return (change for _, change in self._changes)

    def add(self, at: int, change: C) -> None:
        self._changes.append((at, change))

    def take(self, upto: int) -> Iterator[C]:
        while self._changes and self._changes[0][0] < upto:
            yield self._changes.popleft()[1]


@dataclass(slots=True)
class _File:
    seen: bytearray = field(default_factory=bytearray)  # by running programs
    certain: bytearray = field(default_factory=bytearray)
    pending: _Pending[Written | Truncated] = field(default_factory=_Pending)


class Disk:
    """Follows a trace; before any event of it the power may go.

    What is assumed of the hardware is what SQLite assumes: a synced byte stays, also when a write next to it in its
    sector is torn (SQLITE_IOCAP_POWERSAFE_OVERWRITE), and a file that grows past bytes never written has zeros there.
    A failed sync is reported once, as Linux does: programs go on to read what it should have covered, and no later sync
    writes it again, so each sector of it is on the disk or not, for good.
    """

    def __init__(self, rng: Random) -> None:
        """`rng` decides what failed syncs have left: none, half or all of it, by its `choice`."""
        self._luck = rng
        self._at = 0
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._pending_names: _Pending[Created | Deleted] = _Pending()

    def follow(self, trace: Sequence[Event], upto: int) -> None:
        """As far as the event at `upto`, without it. There is no way back."""
        for at in range(self._at, upto):
            self._apply(at, trace[at])
        self._at = upto

    def page_cache(self) -> dict[str, bytes]:
        """What running programs see, and what is left when they are killed while the power stays on."""
        names = dict(self._names)
        for renaming in self._pending_names:
            _rename(names, renaming)
        return {name: bytes(self._files[number].seen) for name, number in names.items()}

    def after_power_loss(self, chance: Random, survival: float) -> dict[str, bytes]:
        """One of the images that a power loss may leave here: the bytes of each file by its name.

        `survival` is the probability with which a sector that no sync has made certain is on the disk.
        """
        names = dict(self._names)
        for renaming in self._pending_names:
            if chance.random() >= survival:
                break  # a folder's changes reach the disk in their order
            _rename(names, renaming)
        return {name: _survivor(self._files[number], chance, survival) for name, number in names.items()}

    @property
    def uncertain(self) -> bool:
        """Whether a power loss now could take anything away."""
        return any(True for _ in self._pending_names) or any(
            True for file in self._files.values() for _ in file.pending
        )

    def _apply(self, at: int, event: Event) -> None:
        match event:
            case Created():
                self._files[event.file] = _File()
                self._pending_names.add(at, event)
            case Deleted():
                self._pending_names.add(at, event)
            case Written() | Truncated():
                file = self._files[event.file]
                _change(file.seen, event)
                file.pending.add(at, event)
            case Synced():
                file = self._files[event.file]
                for change in file.pending.take(event.upto):
                    _change(file.certain, change)
            case SyncFailed():
                file = self._files[event.file]
                for change in file.pending.take(event.upto):
                    _change_by_chance(file.certain, change, self._luck, self._luck.choice([0.0, 0.5, 1.0]))
            case FolderSynced():
                for renaming in self._pending_names.take(event.upto):
                    _rename(self._names, renaming)


def _survivor(file: _File, chance: Random, survival: float) -> bytes:
    """The certain bytes, and of each sector of each later change the rng of one throw."""
    content = bytearray(file.certain)
    for change in file.pending:
        _change_by_chance(content, change, chance, survival)
    return bytes(content)


def _change_by_chance(content: bytearray, change: Written | Truncated, chance: Random, survival: float) -> None:
    for part in _sectors(change):
        if chance.random() < survival:
            _change(content, part)


def _sectors(change: Written | Truncated) -> Iterator[Written | Truncated]:
    if isinstance(change, Truncated):
        yield change
        return
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        yield Written(change.file, start, change.data[start - change.offset : stop - change.offset])
        start = stop


def _change(content: bytearray, change: Written | Truncated) -> None:
    size = change.size if isinstance(change, Truncated) else change.offset
    content.extend(bytes(max(0, size - len(content))))
    if isinstance(change, Truncated):
        del content[change.size :]
    else:
        content[change.offset : change.offset + len(change.data)] = change.data


def _rename(names: dict[str, int], change: Created | Deleted) -> None:
    if isinstance(change, Created):
        names[change.name] = change.file
    else:
        # Its creation may itself have been lost.
        names.pop(change.name, None)
