"""Refuses a server that could lose an answered buy."""

from collections.abc import Mapping, MutableMapping, Sequence

OLDEST_SERVER = 14

# The settings on which durability depends.
SETTINGS = ("fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names")


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


def require_still_durable(server: MutableMapping[str, str], version: int, now: Sequence[str]) -> None:
    """Raises NotDurable as `require_durable` does when the values of SETTINGS, `now`, make the server lose data.

    A reload of the server changes the settings of connections that are kept. Updates `server` with any other change.
    """
    if all(server[name] == value for name, value in zip(SETTINGS, now, strict=True)):
        return
    changed = {**server, **dict(zip(SETTINGS, now, strict=True))}
    require_durable(changed, version)
    server.update(changed)
