"""Makes a connection wait for locks in Python.

SQLite's own busy timeout sleeps in C, where Python handles no signal: a Ctrl-C would take effect only after the wait.
"""

import time

import apsw

# The pauses between tries; the last one repeats.
_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1)


def wait_for_locks(connection: apsw.Connection, timeout_ms: int) -> None:
    """Makes each statement of this connection wait up to `timeout_ms` for a lock, and then fail with apsw.BusyError.

    In the main thread, an exception from a signal handler ends the wait at once.
    """
    deadline = 0.0

    def wait(tries: int) -> bool:
        nonlocal deadline
        now = time.monotonic()
        if tries == 0:  # SQLite counts the tries of each lock from 0
            deadline = now + timeout_ms / 1000
        if now >= deadline:
            return False
        time.sleep(min(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)], deadline - now))
        return True

    connection.set_busy_handler(wait)
