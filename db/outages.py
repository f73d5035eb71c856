"""One line in the log when a trouble begins, and one when it has ended, however many requests meet it meanwhile.

It is of the process, like the log: several stores on one file speak with one voice.
"""

import logging
import threading
import time

# A trouble that comes and goes is told no more often.
QUIET_S = 10.0

_log = logging.getLogger(__name__)
_mutex = threading.Lock()
_active: dict[str, tuple[str | None, bool]] = {}  # what the log has heard of it, and whether writing met it
_told_at: dict[str, float] = {}  # when the log last heard of it (monotonic clock)


def begins(subject: str, line: str, *, writing: bool = True) -> None:
    """Something is in trouble: tell the log, unless it knows, or has just heard of it."""
    with _mutex:
        told, met_by_writing = _active.get(subject, (None, False))
        now = time.monotonic()
        is_new = told != line and now - _told_at.get(subject, -QUIET_S) >= QUIET_S
        _active[subject] = line if is_new else told, met_by_writing or writing
        if is_new:
            _told_at[subject] = now
    if is_new:
        _log.error("%s", line)


def ends(subject: str, line: str, *, writing: bool = True) -> None:
    """It is well; what writing has met, only writing can tell. One look while there is no trouble at all."""
    if not _active:
        return
    with _mutex:
        told, met_by_writing = _active.get(subject, (None, False))
        if met_by_writing and not writing:
            return
        _active.pop(subject, None)
    if told is not None:
        _log.warning("%s", line)
