"""Copies the books from catalog.db and order.db into the empty schemas of PostgreSQL: all of them, or nothing.

It is the restore of a copy, and the way of a store from SQLite to PostgreSQL. Each table is read back within the same
transaction, and compared with what was sent, byte by byte.
"""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import apsw
import psycopg

from db.postgres.connection import Connection, describe
from db.postgres.copies.moment import Addresses, errors_as_copy_failed, opened
from db.postgres.copies.progress import counted
from db.postgres.copies.schemas import MIGRATIONS
from db.postgres.copies.tables import TABLES, Table
from db.postgres.copies.text import encode_row
from db.postgres.errors import explain
from db.postgres.migrate import migrate
from db.sqlite.audit import CHECKS_OF_A_COPY, Audit, audit
from db.sqlite.backup import CopyFailed, OnProgress
from db.sqlite.pairing import find_different_ids
from db.sqlite.read_only import connect_query_only
from db.sqlite.snapshots import CATALOG, FILES, LOG, File, Snapshots, Unreadable, require_own_wal, version_of
from db.sqlite.staging import InTheWay


def copy_in(source: Path, addresses: Addresses, on_progress: OnProgress) -> Audit:
    """Copies both files of the folder `source`, which no tier may be using, into the schemas. Returns their audit.

    Buys in doubt are copied as such. Raises Unreadable, InTheWay when a schema has rows, StartRefused and CopyFailed;
    the schemas then have no rows.
    """
    _require_copy(source)
    with Snapshots(source) as files, ExitStack() as stack:
        audited = audit(files, CHECKS_OF_A_COPY, on_progress)
        for file in FILES:
            migrate(addresses.of(file), file.schema, MIGRATIONS[file])
        connections = _connections(addresses, stack)
        for file, connection in connections.items():
            with errors_as_copy_failed(addresses.of(file)):
                _begin(connection, file, addresses.of(file))
        with files.snapshot(CATALOG, LOG) as rows:
            for table in TABLES:
                connection = connections[table.file]
                with errors_as_copy_failed(addresses.of(table.file)):
                    sent = _load(rows, connection, table, on_progress)
                    _require_equal(sent, connection, table, addresses.of(table.file), on_progress)
        for file, connection in connections.items():
            with errors_as_copy_failed(addresses.of(file)):
                _finish(connection, file)
        _commit(connections, addresses)
    return audited


def _require_copy(source: Path) -> None:
    """Raises Unreadable for a folder that has not the two files of one store, or those of another release."""
    for file in FILES:
        path = source / file.name
        if not path.is_file():
            raise Unreadable(f"{source} is no copy of a store: it has no {file.name}")
        require_own_wal(path)
        with closing(connect_query_only(path)) as connection:
            version = version_of(connection, file, path)
        if version < file.newest:
            raise Unreadable(
                f"{path} has schema {version}, older than this code's {file.newest}; python -m admin restore --into "
                "makes a copy of the newest schema"
            )
    if why := find_different_ids(source):
        raise Unreadable(f"{why}: these are no copy of one store")


def _connections(addresses: Addresses, stack: ExitStack) -> Mapping[File, Connection]:
    """Returns a connection to each schema, and begins its transaction: the same for both in one database."""
    catalog = stack.enter_context(opened(addresses.catalog))
    log = catalog if addresses.are_one else stack.enter_context(opened(addresses.log))
    for connection, address in {catalog: addresses.catalog, log: addresses.log}.items():
        with errors_as_copy_failed(address):
            connection.execute(_BEGIN)
    return {CATALOG: catalog, LOG: log}


_BEGIN = "BEGIN"
# Nobody writes meanwhile. It conflicts with every writer, and with another copy, and waits for none for long.
_LOCK = "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE NOWAIT"
_HAS_ROWS = "SELECT EXISTS (SELECT 1 FROM {table})"
# The triggers refuse what is no buy. The rows that come now were checked when they were written, and are audited.
_DISABLE_TRIGGERS = "ALTER TABLE {table} DISABLE TRIGGER USER"
_ENABLE_TRIGGERS = "ALTER TABLE {table} ENABLE TRIGGER USER"
_EMPTY_STORE = {CATALOG: "DELETE FROM catalog.store", LOG: "DELETE FROM log.store"}


def _begin(connection: Connection, file: File, address: str) -> None:
    """Locks the tables of a schema, and makes them ready for rows. Raises InTheWay when the schema has some."""
    tables = [table for table in TABLES if table.file is file]
    for table in tables:
        connection.execute(_sql(_LOCK, table))
    for table in tables:
        # A migration makes the catalog's id, and a log takes it over, before there is anything else.
        if table.name != "store" and connection.execute(_sql(_HAS_ROWS, table)).fetchall() == [(True,)]:
            raise InTheWay(
                f"{describe(address)}: {table.full_name} has rows already, and nothing is overwritten; name an empty "
                f"database, or drop what is there: DROP SCHEMA {file.schema} CASCADE"
            )
    for table in tables:
        connection.execute(_sql(_DISABLE_TRIGGERS, table))
    connection.execute(_EMPTY_STORE[file])


def _load(rows: apsw.Connection, connection: Connection, table: Table, on_progress: OnProgress) -> bytes:
    """Sends all rows of a table to PostgreSQL. Returns the hash of what was sent."""
    sent = hashlib.sha256()
    with connection.cursor() as cursor, cursor.copy(table.load.encode()) as copy:
        for row in counted(rows.execute(table.select), f"{table.full_name} is written", on_progress):
            line = encode_row(row)
            sent.update(line)
            copy.write(line)
    return sent.digest()


def _require_equal(sent: bytes, connection: Connection, table: Table, address: str, on_progress: OnProgress) -> None:
    """Raises CopyFailed unless PostgreSQL has the rows that were sent to it."""
    stored = hashlib.sha256()
    with connection.cursor() as cursor, cursor.copy(table.unload_as_is.encode()) as copy:
        for line in counted(copy, f"{table.full_name} is compared", on_progress):
            stored.update(line)
    if stored.digest() != sent:
        raise CopyFailed(f"{describe(address)}: {table.full_name} has other rows than the file: nothing was copied")


def _sql(template: str, table: Table) -> bytes:
    return template.format(table=table.full_name).encode()


# The next entry, and the next number, is the one behind the last.
_CONTINUE = (
    "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), coalesce(max({column}), 0) + 1, false) FROM {table}"
)
_CONTINUE_NUMBERS = "UPDATE log.last_number SET number = (SELECT coalesce(max(number), -1) FROM log.orders)"
_ANALYZE = "ANALYZE {table}"


def _finish(connection: Connection, file: File) -> None:
    """Lets the numbers go on behind the last ones, and switches the triggers on again."""
    for table in TABLES:
        if table.file is file:
            if table.identity:
                connection.execute(_CONTINUE.format(table=table.full_name, column=table.columns[0]).encode())
            connection.execute(_sql(_ENABLE_TRIGGERS, table))
            connection.execute(_sql(_ANALYZE, table))
    if file is LOG:
        connection.execute(_CONTINUE_NUMBERS)


_COMMIT = "COMMIT"


def _commit(connections: Mapping[File, Connection], addresses: Addresses) -> None:
    """Commits both transactions. Raises CopyFailed, which says what is stored.

    Two databases have no common COMMIT. Nothing but the loss of a server can part them here, for all was checked.
    """
    committed: list[Connection] = []
    for file, connection in connections.items():
        if connection in committed:
            continue
        connection.warnings.clear()
        try:
            connection.execute(_COMMIT)
        except psycopg.Error as error:
            why = f"{describe(addresses.of(file))}: COMMIT was not answered ({explain(error)})"
            if committed:
                raise CopyFailed(
                    f"{why}; the catalog is copied, and the order log may be: where python -m admin status shows no "
                    "order, DROP SCHEMA catalog CASCADE and copy again"
                ) from error
            raise CopyFailed(f"{why}; either all or nothing is copied: python -m admin status shows it") from error
        if connection.warnings:
            raise CopyFailed(
                f"{describe(addresses.of(file))}: COMMIT brought a warning ({connection.warnings[0]}): the rows are "
                "there, and may be lost with this server; copy again into an empty database"
            )
        committed.append(connection)
