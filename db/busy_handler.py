"""Waits for a lock that another connection has.

SQLite's own busy timeout sleeps in C, where Python hears of no signal: a Ctrl-C was obeyed when the wait was over.
"""

import time

import apsw

# Between two tries; the last stands for all that follow.
_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1)


def wait_for_locks(connection: apsw.Connection, timeout_ms: int) -> None:
    """Let each statement of this connection wait so long for a lock, then fail with apsw.BusyError.

    What a signal raises, in the main thread, ends the wait at once.
    """
    ends = 0.0

    def wait(tries: int) -> bool:
        nonlocal ends
        now = time.monotonic()
        if tries == 0:
            ends = now + timeout_ms / 1000
        if now >= ends:
            return False
        time.sleep(min(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)], ends - now))
        return True

    connection.set_busy_handler(wait)
