"""What SQLite did to the disk, in one order, and what the shoppers were told meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.values import Buy

# A `file` is a number that stays with its bytes, as an inode does: a name may come to stand for another file.


@dataclass(frozen=True, slots=True)
class Created:
    name: str
    file: int


@dataclass(frozen=True, slots=True)
class Deleted:
    name: str


@dataclass(frozen=True, slots=True)
class Written:
    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """What the trace had of this file before `upto`, when the sync was called, is on the disk."""

    file: int
    upto: int


@dataclass(frozen=True, slots=True)
class SyncFailed:
    """What the trace had of this file before `upto` is on the disk or not, and no later sync changes that."""

    file: int
    upto: int


@dataclass(frozen=True, slots=True)
class FolderSynced:
    """What the trace had of names before `upto` is on the disk."""

    upto: int


@dataclass(frozen=True, slots=True)
class Asked:
    buy: Buy


@dataclass(frozen=True, slots=True)
class Answered:
    """The shopper has read it: the order's number, or the refusal's reason."""

    key: str
    answer: str


@dataclass(frozen=True, slots=True)
class Killed:
    """All programs ended by kill -9: whatever was under way stays as it is, and the power stays on."""


Event = Created | Deleted | Written | Truncated | Synced | SyncFailed | FolderSynced | Asked | Answered | Killed


def names_after(trace: Sequence[Event]) -> dict[str, int]:
    """The files that running programs see after these events."""
    names: dict[str, int] = {}
    for event in trace:
        match event:
            case Created(name, file):
                names[name] = file
            case Deleted(name):
                del names[name]
    return names
