"""The PostgreSQL of `make run-postgres`, and where the banner says that the state is."""

import contextlib
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from conf.embedded_postgres import EmbeddedPostgres
from conf.settings import Settings
from conf.stores import describe_address
from db.sqlite.pairing import CATALOG_NAME, LOG_NAME
from db.sqlite.staging import PRIVATE_FOLDER
from db.start import StartRefused

FOLDER_NAME, ADDRESS_NAME = "postgres", "postgres-address"  # in DATA_DIR


def run_postgres(settings: Settings, stack: contextlib.ExitStack) -> Mapping[str, str]:
    """Starts a PostgreSQL, which `stack` will end. Returns the variables that lead the tiers to it.

    Its address, which has a password, is in a file, and not in the environment. Raises StartRefused.
    """
    if settings.catalog_database is not None or settings.order_database is not None:
        raise StartRefused("the store is to run on a PostgreSQL of its own: unset CATALOG_DATABASE and ORDER_DATABASE")
    folder = settings.data_dir.absolute() / FOLDER_NAME
    server = EmbeddedPostgres(folder)
    stack.callback(server.stop)
    if not folder.exists():
        print(f"creating a PostgreSQL in {folder}", flush=True)
    try:
        # As root, the server runs as another user, who must reach its folder.
        folder.parent.mkdir(0o711 if os.geteuid() == 0 else PRIVATE_FOLDER, parents=True, exist_ok=True)
        server.start()
        file = _write_address(settings, server.address())
    except OSError as error:
        raise StartRefused(f"{folder}: PostgreSQL cannot be started: {error.strerror}") from error
    return {"CATALOG_DATABASE_FILE": str(file), "ORDER_DATABASE_FILE": str(file)}


def _write_address(settings: Settings, address: str) -> Path:
    """Writes the address to a file, which only its owner may read, and returns its path."""
    file = settings.data_dir.absolute() / ADDRESS_NAME
    unfinished = file.with_name(f"{ADDRESS_NAME}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(0o600, exist_ok=False)
    unfinished.write_text(f"{address}\n")
    return unfinished.rename(file)


def places(settings: Settings) -> Sequence[str]:
    """Returns where the catalog and the order log are: files, and databases without role and password."""
    folder = settings.data_dir.absolute()
    catalog, log = settings.catalog_database, settings.order_database
    found = [
        str(folder / CATALOG_NAME) if catalog is None else describe_address(catalog),
        str(folder / LOG_NAME) if log is None else describe_address(log),
    ]
    return list(dict.fromkeys(found))


def show_order_log(settings: Settings) -> str:
    """Returns a command that shows the order log, in a shell with the environment of this process."""
    if settings.order_database is None:
        file = settings.data_dir.absolute() / LOG_NAME
        return f"sqlite3 -readonly {shlex.quote(str(file))} 'select * from order_log'"
    own = _own_address_file(settings)
    address = '${ORDER_DATABASE:-$(cat "$ORDER_DATABASE_FILE")}' if own is None else f"$(cat {shlex.quote(str(own))})"
    return f"psql \"{address}\" -c 'select * from log.order_log'"


def lead_admin_here(settings: Settings) -> str:
    """Returns a line that leads `python -m admin` to the PostgreSQL of `run_postgres`; for any other store, nothing."""
    own = _own_address_file(settings)
    if own is None:
        return ""
    file = shlex.quote(str(own))
    return f"For python -m admin: export CATALOG_DATABASE_FILE={file} ORDER_DATABASE_FILE={file}\n"


def _own_address_file(settings: Settings) -> Path | None:
    """Returns the file that `run_postgres` has written, if the order log is at its address."""
    file = settings.data_dir.absolute() / ADDRESS_NAME
    is_own = file.exists() and file.read_text().strip() == settings.order_database
    return file if is_own else None
