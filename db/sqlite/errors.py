"""Groups SQLite's errors by what the store does about them, and explains each in one line."""

import errno
import os
from pathlib import Path

import apsw

# Another connection holds the lock. It passes by itself and is not logged.
BUSY = (apsw.BusyError, apsw.LockedError)
# The file is damaged. A retry cannot help.
DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)
# Errors of the machine, not of the request. The store treats the transaction as failed, and a retry may succeed.
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
# No group has the other errors: they are mistakes in this code or its SQL, and end with a traceback.

_NO_SHARED_MEMORY = (apsw.SQLITE_IOERR_SHMMAP, apsw.SQLITE_IOERR_SHMLOCK)
# CIFS, FUSE and 9p may refuse to sync a folder, or to open it for that. SQLite and PostgreSQL ignore that as well.
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
    """The file system has no shared memory that SQLite can use. Write-ahead logging needs it."""


def is_lasting(path: Path, error: Exception) -> bool:
    """Whether a retry is useless until somebody has repaired this database or its disk."""
    return isinstance(error, DAMAGE) or _lacks_shared_memory(error) or _is_read_only(path, error)


def explain(path: Path, error: Exception, setting: str | None = None) -> str:
    """Explains the error in one line: the file, the `setting` that names its folder, how it fails, and what to do."""
    name = str(path) if setting is None else f"{path} ({setting})"
    return f"{name}: {_cause_and_advice(path, error)}"


def _cause_and_advice(path: Path, error: Exception) -> str:
    if path.is_dir():
        return f"it is a folder, and no database ({error}); move it away"
    if isinstance(error, DAMAGE):
        advice = "run python -m admin audit, then restore a backup (python -m admin restore)"
        return f"damaged or no database ({error}); {advice}"
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


def explain_to_shopper(path: Path, error: Exception) -> str:
    """Explains the error to a shopper: without paths, and with "try again" only when a retry may help."""
    if isinstance(error, DAMAGE):
        return "the store's data is damaged"
    if _is_read_only(path, error):
        return "the store's disk is read-only"
    if _lacks_shared_memory(error):
        return "the store's disk has no shared memory"
    return "the store cannot reach its data, try again"


def is_unsyncable_folder(path: Path, error: OSError) -> bool:
    """Whether a sync failed because the file system cannot sync folders, and not because the disk fails."""
    return error.errno in _NO_FOLDER_SYNC and path.is_dir()


def _lacks_shared_memory(error: Exception) -> bool:
    if isinstance(error, NoSharedMemory):
        return True
    return isinstance(error, apsw.IOError) and getattr(error, "extendedresult", None) in _NO_SHARED_MEMORY


def _is_read_only(path: Path, error: Exception) -> bool:
    """Whether the file or its disk is read-only.

    When a disk turns read-only under an open file, SQLite reports a disk I/O error or that it cannot open the file.
    """
    if isinstance(error, apsw.ReadOnlyError):
        return True
    if not isinstance(error, apsw.IOError | apsw.CantOpenError):
        return False
    for place in (path, path.parent):  # the file itself may be missing
        try:
            return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
        except OSError:
            continue
    return False


def _file_system(path: Path) -> str:
    """Names the file system of a path by its type and mount point, if /proc has them."""
    try:
        device = os.stat(path.parent).st_dev
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return "its file system"
    for line in reversed(lines):  # the last mount hides the earlier ones
        fields = line.split(" ")
        if fields[2] == f"{os.major(device)}:{os.minor(device)}":
            return f"the file system {fields[fields.index('-') + 1]} at {fields[4]}"
    return "its file system"
