"""Refuses a server that could lose an answered buy."""

from collections.abc import Mapping

OLDEST_SERVER = 14


class NotDurable(Exception):
    """The server could lose what it has committed. The message says by which setting."""


def require_durable(server: Mapping[str, str], version: int) -> None:
    """Raises NotDurable when a setting lets the server answer a COMMIT that a crash can undo.

    `server` has the settings as they are for this connection: a database or a role may have its own. `version` is the
    server's, as 150004 for 15.4.
    """
    if version < OLDEST_SERVER * 10_000:
        raise NotDurable(f"the server is PostgreSQL {version // 10_000}; this store needs {OLDEST_SERVER} or newer")
    for name in ("fsync", "full_page_writes"):
        if server[name] != "on":
            raise NotDurable(f"the server has {name} = {server[name]} and can lose data; set {name} = on and reload it")
    commit, standbys = server["synchronous_commit"], server["synchronous_standby_names"]
    if commit == "off" or (standbys and commit not in ("on", "remote_apply")):
        raise NotDurable(
            f"synchronous_commit is {commit} for this role and database, so answered buys can be lost; set it to on "
            "(ALTER SYSTEM, ALTER DATABASE or ALTER ROLE, whichever has changed it)"
        )
