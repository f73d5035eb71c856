"""Where a process can be told to die, and how it does.

A point is armed by a file of its name in CRASH_DIR, which says whom to kill. Whoever comes to the point first takes
the file, so each arming kills once.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Victim = Literal["worker", "master"]

# Around one transaction: before it has the lock, with a part of its rows written, before its COMMIT writes, when all is
# written and not synced, and when it is durable and nobody knows.
_TRANSACTION = ("before", "half", "commit", "sync", "after")

# The protocol, in its order. `settle` is the recovery, in a worker's thread or in a starting master.
POINTS: dict[str, tuple[str, ...]] = {
    "front_end": ("front-call.before", "front-call.after"),
    "order": (
        *(f"intent.{at}" for at in _TRANSACTION),
        "call.before",
        "call.after",
        *(f"finish.{at}" for at in _TRANSACTION),
    ),
    "catalog": tuple(f"sale.{at}" for at in _TRANSACTION),
}
RECOVERY_POINTS = (
    "settle-call.before",
    "settle-call.after",
    *(f"settle-finish.{at}" for at in _TRANSACTION),
)


class _Thread(threading.local):
    transaction: str | None = None


_thread = _Thread()
_master = os.getpid()  # who reads gunicorn's settings, and with them this


def arm(folder: Path, point: str, victim: Victim) -> None:
    """Whoever of the store comes to this point next kills itself, or its master."""
    ready = folder / f"{point}.new"
    ready.write_text(victim)
    ready.rename(folder / point)


def has_fired(folder: Path, point: str) -> bool:
    return not (folder / point).exists()


def crash(point: str) -> None:
    """Die here if the point is armed. A killed master leaves this worker to end its work as an orphan."""
    armed = Path(os.environ["CRASH_DIR"], point)
    taken = armed.with_suffix(f"{armed.suffix}.{os.getpid()}")
    try:
        armed.rename(taken)
    except FileNotFoundError:
        return
    is_masters = taken.read_text() == "master" and os.getppid() == _master
    os.kill(_master if is_masters else os.getpid(), signal.SIGKILL)


@contextmanager
def transaction(name: str) -> Iterator[None]:
    """Points around, and in, a transaction of this thread."""
    crash(f"{name}.before")
    _thread.transaction = name
    try:
        yield
    finally:
        _thread.transaction = None
    crash(f"{name}.after")


def crash_in_transaction(at: str) -> None:
    """For hooks that know the moment and not the transaction."""
    if _thread.transaction is not None:
        crash(f"{_thread.transaction}.{at}")
