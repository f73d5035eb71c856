"""The two schemas of PostgreSQL beside the two files of SQLite, and whether this code can read them."""

from psycopg.errors import InvalidSchemaName, UndefinedTable

from db.postgres import catalog, order
from db.postgres.connection import Connection, describe
from db.sqlite.backup import CopyFailed
from db.sqlite.snapshots import CATALOG, LOG, File, Unreadable

MIGRATIONS = {CATALOG: catalog.MIGRATIONS, LOG: order.MIGRATIONS}

_VERSION = {
    CATALOG: "SELECT count(*) FROM catalog.migrations",
    LOG: "SELECT count(*) FROM log.migrations",
}


def require_current(connection: Connection, file: File, address: str) -> int:
    """Returns the version of the schema. Raises CopyFailed unless it is that of this code, and psycopg.Error."""
    where = f"{describe(address)}: the schema {file.schema}"
    newest = len(list(MIGRATIONS[file].glob("[0-9]*.sql")))
    try:
        [(version,)] = connection.execute(_VERSION[file]).fetchall()
    except (UndefinedTable, InvalidSchemaName) as error:
        raise CopyFailed(f"{where} is not there, or is none of this store's; start the store on it once") from error
    if version > newest:
        raise CopyFailed(f"{where} has version {version}, newer than this code's {newest}; use the newer release")
    if version < newest:
        raise CopyFailed(f"{where} has version {version}, older than this code's {newest}; start the store once")
    return newest


_ID_OF_CATALOG = "SELECT id FROM catalog.store"
_ID_OF_LOG = "SELECT id FROM log.store"


def require_one_store(connection_of_catalog: Connection, connection_of_log: Connection) -> None:
    """Raises Unreadable when the schemas are of two stores. A log that has not met its catalog yet matches any."""
    id_of_log = connection_of_log.execute(_ID_OF_LOG).fetchall()
    if id_of_log and id_of_log != connection_of_catalog.execute(_ID_OF_CATALOG).fetchall():
        raise Unreadable("the schema log is of another store than the schema catalog: nothing is changed between them")
