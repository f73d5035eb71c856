"""Logs one line when an outage begins and one when it ends, however many requests it fails.

The state is global to the process, as logging is: several stores on one file log one outage.
"""

import logging
import threading
import time

# An outage that comes and goes is logged at most once in this time.
MIN_INTERVAL_S = 10.0

_log = logging.getLogger(__name__)
_mutex = threading.Lock()
_active: dict[str, tuple[str | None, bool]] = {}  # by subject: the line that was logged, and whether a write failed
_logged_at: dict[str, float] = {}  # by subject: time of the last line (monotonic clock)


def log_start(subject: str, line: str, *, writing: bool = True) -> None:
    """Logs that an outage of `subject` began, unless this line or a very recent one was logged for it."""
    with _mutex:
        logged, write_failed = _active.get(subject, (None, False))
        now = time.monotonic()
        is_new = logged != line and now - _logged_at.get(subject, -MIN_INTERVAL_S) >= MIN_INTERVAL_S
        _active[subject] = line if is_new else logged, write_failed or writing
        if is_new:
            _logged_at[subject] = now
    if is_new:
        _log.error("%s", line)


def log_end(subject: str, line: str, *, writing: bool = True) -> None:
    """Logs that the outage of `subject` ended, if its start was logged.

    After a failed write, only a successful write ends the outage. Without any outage this costs one look-up.
    """
    if not _active:
        return
    with _mutex:
        logged, write_failed = _active.get(subject, (None, False))
        if write_failed and not writing:
            return
        _active.pop(subject, None)
    if logged is not None:
        _log.warning("%s", line)
