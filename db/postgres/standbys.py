"""Tells whether each COMMIT waits for a standby. When that ends, the log says so: buys can be lost with the primary."""

from collections.abc import Sequence
from typing import Any

from db import outages

# The states can be seen by the role pg_monitor, and by the superuser. To all others they are NULL.
SELECT_STANDBYS = """
    SELECT current_setting('synchronous_standby_names'), count(*), count(sync_state),
        count(*) FILTER (WHERE sync_state IN ('sync', 'quorum'))
    FROM pg_stat_replication"""


def explain_standbys(rows: Sequence[Sequence[Any]]) -> str:
    """Explains a row of SELECT_STANDBYS in one line for the log."""
    [(names, total, visible, synchronous)] = rows
    if not names:
        return "no synchronous standby is configured: an answered buy can be lost with the disk of this server"
    if total and not visible:
        return f"each buy waits for a standby ({names}); GRANT pg_monitor to this role, so that it sees their state"
    if not synchronous:
        return f"no synchronous standby is connected ({names}): each buy waits for one"
    return f"each buy waits for a standby ({names}), and {synchronous} synchronous ones are connected"


class Standbys:
    """Whether one server had synchronous standbys, as this process has seen it."""

    def __init__(self, name: str) -> None:
        """`name` is the server's, for the log."""
        self._name = name
        self._subject = f"{name} standbys"
        self._was_synchronous = False

    def note(self, rows: Sequence[Sequence[Any]]) -> None:
        """Notes a row of SELECT_STANDBYS. Logs when the server no longer waits for standbys, and when it does again."""
        if rows[0][0]:
            self._was_synchronous = True
            outages.log_end(self._subject, f"{self._name}: each buy waits for a standby again")
        elif self._was_synchronous:
            why = "no longer waits for a standby, so an answered buy can be lost with the disk of this server"
            outages.log_start(self._subject, f"{self._name}: {why}")
