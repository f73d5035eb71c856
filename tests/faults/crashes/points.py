"""Crash points: named steps of the protocol at which a process kills itself, or its master, when the point is armed.

A file with the point's name in CRASH_DIR arms it, and says which process to kill. The first process that reaches the
point takes the file, so each arming kills once.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Victim = Literal["worker", "master"]

# The points of one transaction: before it has the lock, after some of its rows are written, before its COMMIT writes,
# after all is written but not synced, and after it is durable but not yet acknowledged.
_TRANSACTION = ("before", "half", "commit", "sync", "after")


def _steps(prefix: str, begin: str, take: str) -> dict[str, tuple[str, ...]]:
    """Returns the points of a buy or a return, by tier, in the order of the protocol. Their names have the prefix."""
    return {
        "order": (
            *(f"{begin}.{at}" for at in _TRANSACTION),
            f"{prefix}call.before",
            f"{prefix}call.after",
            *(f"{prefix}finish.{at}" for at in _TRANSACTION),
        ),
        "catalog": tuple(f"{take}.{at}" for at in _TRANSACTION),
    }


def _recovery_steps(prefix: str) -> tuple[str, ...]:
    """Returns the points of the recovery, in a worker's thread or in a starting master."""
    calls = (f"settle-{prefix}call.before", f"settle-{prefix}call.after")
    return (*calls, *(f"settle-{prefix}finish.{at}" for at in _TRANSACTION))


BUY_POINTS = {"front_end": ("front-call.before", "front-call.after"), **_steps("", "intent", "sale")}
RETURN_POINTS = _steps("return-", "return-intent", "take-back")
BUY_RECOVERY_POINTS = _recovery_steps("")
RETURN_RECOVERY_POINTS = _recovery_steps("return-")
POINTS = frozenset(
    point
    for points in (*BUY_POINTS.values(), *RETURN_POINTS.values(), BUY_RECOVERY_POINTS, RETURN_RECOVERY_POINTS)
    for point in points
)


class _Thread(threading.local):
    transaction: str | None = None  # the name of the transaction that this thread runs


_thread = _Thread()
_master = os.getpid()  # gunicorn's master process imports this module with its settings, before it forks


def arm(folder: Path, point: str, victim: Victim) -> None:
    """Arms a point: the next process of the store that reaches it kills itself, or its master."""
    ready = folder / f"{point}.new"
    ready.write_text(victim)
    ready.rename(folder / point)


def has_fired(folder: Path, point: str) -> bool:
    """Returns whether a process has reached the point since it was armed."""
    return not (folder / point).exists()


def crash(point: str) -> None:
    """Kills the process if the point is armed. After a kill of its master, this worker goes on as an orphan."""
    armed = Path(os.environ["CRASH_DIR"], point)
    taken = armed.with_suffix(f"{armed.suffix}.{os.getpid()}")
    try:
        armed.rename(taken)
    except FileNotFoundError:
        return
    # A starting master may reach a point of the recovery itself. Its parent is not `_master`, and it kills itself.
    kills_master = taken.read_text() == "master" and os.getppid() == _master
    os.kill(_master if kills_master else os.getpid(), signal.SIGKILL)


@contextmanager
def transaction(name: str) -> Iterator[None]:
    """Adds the points around a transaction of this thread, and names it for those within it."""
    crash(f"{name}.before")
    _thread.transaction = name
    try:
        yield
    finally:
        _thread.transaction = None
    crash(f"{name}.after")


def crash_in_transaction(at: str) -> None:
    """Reaches a point within this thread's transaction, whose name SQLite's hooks do not know."""
    if _thread.transaction is not None:
        crash(f"{_thread.transaction}.{at}")
