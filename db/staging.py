"""Files that appear in a folder when they are complete and on disk, and never in the place of others.

A folder that is not there yet is made beside its place and gets its name at the end. One that is there may be a mount
point, which cannot be renamed, and may hold what is none of ours, such as `lost+found`. So the files are made in a
hidden folder within it, and are then given their names one by one.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from db.connection import sync

# SQLite's: the write-ahead log, its index, and the rollback journal.
COMPANIONS = ("-wal", "-shm", "-journal")
# Keys stand in the files: who knows a buy's key is shown the buy.
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600


class InTheWay(Exception):
    """A file, or a running tier, is in the way of a backup or a restore; the message says which, and what to do."""


def create_private(path: Path) -> None:
    """Make an empty file, if there is none, that only its owner may read. SQLite's companions take its mode."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))


def in_the_way(folder: Path, names: Sequence[str]) -> list[Path]:
    """The files that must not be there when `names` are to be made in the folder."""
    if folder.is_symlink() and not folder.exists():
        return [folder]
    if not folder.exists():
        return []
    return [folder / name for name in names if os.path.lexists(folder / name)] if folder.is_dir() else [folder]


@contextmanager
def staged(target: Path, names: Sequence[str]) -> Iterator[Path]:
    """A private folder in which the files `names` are made; at the end they are on disk, in the folder `target`.

    Of what fails nothing is left. Raises InTheWay when another one makes one of them meanwhile.
    """
    target = target.resolve()
    is_there = target.is_dir()
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = f".{target.name}-{uuid.uuid4().hex[:8]}.unfinished"
    folder = target / hidden if is_there else target.with_name(hidden)
    folder.mkdir(PRIVATE_FOLDER)
    try:
        yield folder
        for name in names:
            (folder / name).chmod(PRIVATE_FILE)
            if is_there:
                _give_to_the_owner_of(target, folder / name)
            sync(folder / name)
        if is_there:
            _put(folder, target, names)
        else:
            sync(folder)
            _give_name(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    sync(target if is_there else target.parent)


def _give_to_the_owner_of(folder: Path, path: Path) -> None:
    """Root may restore into the folder of another user, whose store must be able to open the file."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _give_name(folder: Path, target: Path) -> None:
    """Rename the finished folder. It takes the place of an empty folder, and of nothing else."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise _made_meanwhile(target) from error


def _put(folder: Path, target: Path, names: Sequence[str]) -> None:
    """Give the files their names in a folder that is there, all or none of them."""
    done: list[Path] = []
    try:
        for name in names:
            _move(folder / name, target / name)
            done.append(target / name)
    except BaseException:
        for path in done:
            path.unlink()
        raise
    shutil.rmtree(folder)


def _move(source: Path, target: Path) -> None:
    """A rename that does not replace. os.link refuses where a file is; not every file system has it."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise _made_meanwhile(target) from None
    except OSError:
        if os.path.lexists(target):
            raise _made_meanwhile(target) from None
        source.rename(target)
    else:
        source.unlink()


def _made_meanwhile(path: Path) -> InTheWay:
    return InTheWay(f"another one has made {path} meanwhile, and it stays as it is; name a new one")


def set_aside_companions(path: Path) -> list[Path]:
    """Take away what a lost database has left at its name, and where it is now. SQLite would play its log into the
    next file of that name."""
    assert not path.exists(), "these are companions of a lost file"
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)  # an index of the log, made anew from it
    moved = []
    for suffix in ("-wal", "-journal"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            moved.append(companion.rename(_free_name(companion)))
    return moved


def _free_name(companion: Path) -> Path:
    """A name for the companion of a lost file that nothing has yet."""
    number = 1
    while (name := companion.with_name(f"{companion.name}.lost-{number}")).exists():
        number += 1
    return name
