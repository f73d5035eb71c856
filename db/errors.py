"""SQLite's errors in one place: which of them the store may outlive, and a sentence for each that says what to do."""

import errno
import os
from pathlib import Path

import apsw

# Somebody else has the lock. It passes by itself, and no log needs to tell of it.
BUSY = (apsw.BusyError, apsw.LockedError)
# The file does not hold what SQLite has written. No later try mends it.
DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)
# The machine's troubles, not the buyer's: the transaction did not happen as far as we know, and may work later.
DISK_ERRORS = (
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.ProtocolError,
    apsw.NoMemError,
    apsw.PermissionsError,
    apsw.AuthError,
    apsw.NoLFSError,
    apsw.SchemaChangeError,
)
# All others are mistakes of ours in SQL, and end with a traceback.

_NO_SHARED_MEMORY = (apsw.SQLITE_IOERR_SHMMAP, apsw.SQLITE_IOERR_SHMLOCK)
# A folder that cannot be synced, or not be opened for it, on CIFS, FUSE and 9p: SQLite and PostgreSQL go on as well.
_NO_FOLDER_SYNC = {
    errno.EINVAL,
    errno.EBADF,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
}


class NoSharedMemory(apsw.Error):
    """The file system has no shared memory, or SQLite does not use it there: write-ahead logging is not to be had."""


def is_lasting(path: Path, error: Exception) -> bool:
    """Whether no later try can mend it, until somebody has done something about this database."""
    return isinstance(error, DAMAGE) or _lacks_shared_memory(error) or _is_read_only(path, error)


def explain(path: Path, error: Exception, setting: str | None = None) -> str:
    """One line: the database's file, the setting that says where it is, how it fails, and what to do."""
    name = str(path) if setting is None else f"{path} ({setting})"
    return f"{name}: {_explain(path, error)}"


def _explain(path: Path, error: Exception) -> str:
    if path.is_dir():
        return f"it is a folder, and no database ({error}); move it away"
    if isinstance(error, DAMAGE):
        return f"damaged or no database ({error}); run python -m admin audit, then bring a backup back (restore)"
    if _lacks_shared_memory(error):
        return (
            f"write-ahead logging (WAL) needs shared memory, which {_file_system(path)} does not give ({error}); "
            "set DATA_DIR to a folder on a local disk"
        )
    if _is_read_only(path, error):
        return f"the disk, the folder or the file is read-only ({error}); make it writable"
    if isinstance(error, apsw.FullError):
        return f"the disk is full ({error}); make room"
    if isinstance(error, apsw.CantOpenError) and not path.exists():
        return "the file is missing; put it back, or stop the store and restore a backup (python -m admin restore)"
    return str(error)


def tell_shopper(path: Path, error: Exception) -> str:
    """The same for a stranger: without paths, and only with "try again" when that may help."""
    if isinstance(error, DAMAGE):
        return "the store's data is damaged"
    if _is_read_only(path, error):
        return "the store's disk is read-only"
    if _lacks_shared_memory(error):
        return "the store's disk has no shared memory"
    return "the store cannot reach its data, try again"


def may_pass_over(path: Path, error: OSError) -> bool:
    """Whether this failed sync is of a folder that its file system cannot sync, and not a failing disk."""
    return error.errno in _NO_FOLDER_SYNC and path.is_dir()


def _lacks_shared_memory(error: Exception) -> bool:
    if isinstance(error, NoSharedMemory):
        return True
    return isinstance(error, apsw.IOError) and getattr(error, "extendedresult", None) in _NO_SHARED_MEMORY


def _is_read_only(path: Path, error: Exception) -> bool:
    """SQLite calls it a disk I/O error, or unable to open, when the disk turns read-only while the file is open."""
    if isinstance(error, apsw.ReadOnlyError):
        return True
    if not isinstance(error, apsw.IOError | apsw.CantOpenError):
        return False
    for place in (path, path.parent):
        try:
            return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
        except OSError:
            continue
    return False


def _file_system(path: Path) -> str:
    """The file system of a path, by its type and where it is mounted, if the system tells."""
    try:
        device = os.stat(path.parent).st_dev
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return "its file system"
    for line in reversed(lines):  # the last mount hides those before
        fields = line.split(" ")
        if fields[2] == f"{os.major(device)}:{os.minor(device)}":
            return f"the file system {fields[fields.index('-') + 1]} at {fields[4]}"
    return "its file system"
