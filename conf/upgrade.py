"""Where a master may have a successor: at a SIGUSR2 gunicorn starts the command again, on the same sockets."""

import os

from conf.settings import Settings, Tier
from db.connection import StartRefused
from db.migrate import schema_of
from db.snapshots import CATALOG, LOG

FILES = {"catalog": CATALOG, "order": LOG}


def is_watched(master: int) -> bool:
    """Whether this master is supervisord's (see conf/with_parent.py), or the first process of a container.

    Who watches over it would start another one, on the same port, as soon as it makes way for its successor.
    """
    return master == 1 or os.environ.get("PARENT_PID") == str(master)


def require_same_schema(settings: Settings, tier: Tier) -> None:
    """Raises StartRefused where this code would migrate a database with which the master before still works."""
    file = FILES.get(tier.name)
    if file is None or not (path := settings.data_dir / file.name).exists():
        return
    if (schema := schema_of(path)) < file.newest:
        raise StartRefused(
            f"{path} has schema {schema}, and this release needs {file.newest}: no SIGUSR2 here, stop the tier and "
            "start it again"
        )
