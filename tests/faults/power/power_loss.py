"""A model of a disk that loses its power: synced bytes stay, and each unsynced sector may be lost."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Generic, TypeVar

from tests.faults.power.trace import Created, Deleted, Event, FolderSynced, Synced, SyncFailed, Truncated, Written

SECTOR_BYTES = 512

C = TypeVar("C")


class _Pending(Generic[C]):
    """Changes that are not synced yet, oldest first, each with its position in the trace."""

    def __init__(self) -> None:
        self._changes: deque[tuple[int, C]] = deque()

    def __iter__(self) -> Iterator[C]:
        return (change for _, change in self._changes)

    def add(self, at: int, change: C) -> None:
        self._changes.append((at, change))

    def take(self, upto: int) -> Iterator[C]:
        """Removes and yields the changes before the position `upto`."""
        while self._changes and self._changes[0][0] < upto:
            yield self._changes.popleft()[1]


@dataclass(slots=True)
class _File:
    """A file as running programs see it, as it is on the disk for certain, and the changes in between."""

    cached: bytearray = field(default_factory=bytearray)  # the content that running programs see
    durable: bytearray = field(default_factory=bytearray)
    pending: _Pending[Written | Truncated] = field(default_factory=_Pending)


class Disk:
    """Replays a trace up to any event, before which the power may be cut.

    It assumes of the hardware what SQLite assumes: a synced byte stays, even when a write next to it in its sector is
    torn (SQLITE_IOCAP_POWERSAFE_OVERWRITE), and a file that grows past bytes never written has zeros there. A failed
    sync is reported once, as on Linux: programs still read the unsynced bytes, and no later sync writes them again, so
    each sector of them is on the disk or lost, for good.
    """

    def __init__(self, rng: Random) -> None:
        """Creates an empty disk. `rng.choice` decides how much a failed sync has written: none, half or all of it."""
        self._rng = rng
        self._at = 0
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._pending_names: _Pending[Created | Deleted] = _Pending()

    def replay(self, trace: Sequence[Event], upto: int) -> None:
        """Replays the events before `upto`. A disk cannot go back to an earlier event."""
        for at in range(self._at, upto):
            self._apply(at, trace[at])
        self._at = upto

    def page_cache(self) -> dict[str, bytes]:
        """Returns the files that running programs see, and that a kill leaves."""
        names = dict(self._names)
        for name_change in self._pending_names:
            _change_names(names, name_change)
        return {name: bytes(self._files[number].cached) for name, number in names.items()}

    def after_power_loss(self, rng: Random, survival: float) -> dict[str, bytes]:
        """Returns one of the images that a power loss may leave now: the bytes of each file by its name.

        `survival` is the probability that an unsynced sector is on the disk.
        """
        names = dict(self._names)
        for name_change in self._pending_names:
            if rng.random() >= survival:
                break  # a folder's changes reach the disk in their order
            _change_names(names, name_change)
        return {name: _survivor(self._files[number], rng, survival) for name, number in names.items()}

    @property
    def uncertain(self) -> bool:
        """Returns whether a power loss now could lose anything."""
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
                _change(file.cached, event)
                file.pending.add(at, event)
            case Synced():
                file = self._files[event.file]
                for change in file.pending.take(event.upto):
                    _change(file.durable, change)
            case SyncFailed():
                file = self._files[event.file]
                for change in file.pending.take(event.upto):
                    _change_some_sectors(file.durable, change, self._rng, self._rng.choice([0.0, 0.5, 1.0]))
            case FolderSynced():
                for name_change in self._pending_names.take(event.upto):
                    _change_names(self._names, name_change)


def _survivor(file: _File, rng: Random, survival: float) -> bytes:
    """Returns the durable bytes, with a random part of the sectors that were changed since."""
    content = bytearray(file.durable)
    for change in file.pending:
        _change_some_sectors(content, change, rng, survival)
    return bytes(content)


def _change_some_sectors(content: bytearray, change: Written | Truncated, rng: Random, survival: float) -> None:
    """Applies a change to each of its sectors with the probability `survival`."""
    for part in _sectors(change):
        if rng.random() < survival:
            _change(content, part)


def _sectors(change: Written | Truncated) -> Iterator[Written | Truncated]:
    """Splits a write into one for each sector that it touches. A truncation stays whole."""
    if isinstance(change, Truncated):
        yield change
        return
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        yield Written(change.file, start, change.data[start - change.offset : stop - change.offset])
        start = stop


def _change(content: bytearray, change: Written | Truncated) -> None:
    """Applies a change to a content. Bytes that were never written become zeros."""
    size = change.size if isinstance(change, Truncated) else change.offset
    content.extend(bytes(max(0, size - len(content))))
    if isinstance(change, Truncated):
        del content[change.size :]
    else:
        content[change.offset : change.offset + len(change.data)] = change.data


def _change_names(names: dict[str, int], change: Created | Deleted) -> None:
    """Applies a change of the folder to its names."""
    if isinstance(change, Created):
        names[change.name] = change.file
    else:
        # The name may be absent, because its creation may have been lost.
        names.pop(change.name, None)
