"""Events of a trace: operations of SQLite on the disk, buys and returns, and their answers, in one order."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.returns import Return, Returned
from domain.values import Buy

# A `file` is a number that identifies the content, as an inode does. A name may later belong to another file.


@dataclass(frozen=True, slots=True)
class Created:
    """A name was created for a new, empty file."""

    name: str
    file: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """A name was deleted."""

    name: str


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes were written to a file, and are not synced yet."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    """A file was cut or extended to this size in bytes, which is not synced yet."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """A sync has made durable all changes of this file before `upto`, the position at which the sync was called."""

    file: int
    upto: int


@dataclass(frozen=True, slots=True)
class SyncFailed:
    """A sync has failed: any part of the changes before `upto` is on the disk, and no later sync changes that."""

    file: int
    upto: int


@dataclass(frozen=True, slots=True)
class FolderSynced:
    """A sync of the folder has made durable all names created and deleted before `upto`."""

    upto: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A shopper sends a buy, for the first time or again."""

    buy: Buy


@dataclass(frozen=True, slots=True)
class Answered:
    """The shopper has got the answer: the order's number, or the reason of the refusal."""

    key: str
    answer: str


@dataclass(frozen=True, slots=True)
class AskedReturn:
    """The owner sends a return, for the first time or again."""

    asked: Return


@dataclass(frozen=True, slots=True)
class AnsweredReturn:
    """The owner has got the answer: the logged return, or the reason of the refusal."""

    key: str
    answer: Returned | str


@dataclass(frozen=True, slots=True)
class Killed:
    """All processes were killed by kill -9. The power stayed on, so the page cache is kept."""


OnDisk = Created | Deleted | Written | Truncated | Synced | SyncFailed | FolderSynced
Event = OnDisk | Asked | Answered | AskedReturn | AnsweredReturn | Killed


def names_after(trace: Sequence[Event]) -> dict[str, int]:
    """Returns the files that running programs see after these events, by name."""
    names: dict[str, int] = {}
    for event in trace:
        match event:
            case Created(name, file):
                names[name] = file
            case Deleted(name):
                del names[name]
    return names
