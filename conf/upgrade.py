"""Decides whether SIGUSR2 may start a successor of a tier's master: the same command again, on the same sockets."""

import os

from conf.settings import Settings, Tier
from db.sqlite.migrate import schema_of
from db.sqlite.snapshots import CATALOG, LOG
from db.start import StartRefused

FILES = {"catalog": CATALOG, "order": LOG}


def is_supervised(master: int) -> bool:
    """Whether supervisord has started this master (see conf/with_parent.py), or it is the first process of a container.

    A supervisor would start another master on the same port when this one ends in favour of its successor.
    """
    return master == 1 or os.environ.get("PARENT_PID") == str(master)


def require_same_schema(settings: Settings, tier: Tier) -> None:
    """Raises StartRefused when this code would migrate a file that the former master still uses.

    A database on PostgreSQL is migrated beside tiers of the former release in any case, for it may have several.
    """
    file = FILES.get(tier.name)
    database = {"catalog": settings.catalog_database, "order": settings.order_database}.get(tier.name)
    if file is None or database is not None or not (path := settings.data_dir / file.name).exists():
        return
    if (schema := schema_of(path)) < file.newest:
        raise StartRefused(
            f"{path} has schema {schema}, and this release needs {file.newest}: no SIGUSR2 here, stop the tier and "
            "start it again"
        )
