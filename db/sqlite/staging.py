"""Creates files in a hidden folder, and gives them their names once all are complete and synced. Overwrites nothing.

A new target folder is built under a hidden name beside its place, and renamed at the end. An existing one may be a
mount point, which cannot be renamed, and may hold other files, such as `lost+found`. The hidden folder is then made
inside it, and its files are moved out one by one.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from db.sqlite.connection import sync

# Suffixes of the files that SQLite keeps beside a database: write-ahead log, shared memory and rollback journal.
COMPANIONS = ("-wal", "-shm", "-journal")
# Private, because the files hold the keys of buys, and a key is enough to see its buy.
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600


class InTheWay(Exception):
    """An existing file, or a running tier, prevents a backup or a restore. The message says which, and what to do."""


def create_private(path: Path) -> None:
    """Creates an empty file that only its owner may read, unless the file exists. Its companions get the same mode."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))


def conflicting_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Returns the existing files that prevent the creation of `names` in the folder."""
    if folder.is_symlink() and not folder.exists():
        return [folder]
    if not folder.exists():
        return []
    return [folder / name for name in names if os.path.lexists(folder / name)] if folder.is_dir() else [folder]


@contextmanager
def staged(target: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yields a private folder in which the block creates the files `names`, then moves them, synced, to `target`.

    After an exception nothing is left. Raises InTheWay when another process has created one of the files meanwhile.
    """
    target = target.resolve()
    exists = target.is_dir()
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = f".{target.name}-{uuid.uuid4().hex[:8]}.unfinished"
    folder = target / hidden if exists else target.with_name(hidden)
    folder.mkdir(PRIVATE_FOLDER)
    try:
        yield folder
        for name in names:
            (folder / name).chmod(PRIVATE_FILE)
            if exists:
                chown_as(target, folder / name)
            sync(folder / name)
        if exists:
            _move_files(folder, target, names)
        else:
            sync(folder)
            _rename_folder(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    sync(target if exists else target.parent)


def chown_as(folder: Path, path: Path) -> None:
    """Gives a file that root has made to the owner of the folder, whose store must be able to open it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _rename_folder(folder: Path, target: Path) -> None:
    """Renames the finished folder. Only an empty folder is replaced."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise _made_meanwhile(target) from error


def _move_files(folder: Path, target: Path, names: Sequence[str]) -> None:
    """Moves all files, or none, into an existing folder."""
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
    """Moves a file without replacing another one: os.link fails where one exists. Not every file system has links."""
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
    """Renames the companions of a lost database, and returns their new paths.

    Otherwise SQLite would apply the WAL to the next database of the same name.
    """
    assert not path.exists(), "these are companions of a lost file"
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)  # SQLite makes it anew from the WAL
    moved = []
    for suffix in ("-wal", "-journal"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            moved.append(companion.rename(_free_name(companion)))
    return moved


def _free_name(companion: Path) -> Path:
    """Returns an unused name for the companion of a lost file."""
    number = 1
    while (name := companion.with_name(f"{companion.name}.lost-{number}")).exists():
        number += 1
    return name
