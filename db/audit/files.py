"""The files themselves: pages that make sense, and a schema whose guards are all in place."""

from collections.abc import Iterator
from contextlib import closing

import apsw

from db.audit.discrepancy import Discrepancy
from db.connection import add_fold, run
from db.snapshots import CATALOG, FILES, LOG, File, Snapshots

# (type, name): SQL
Schema = dict[tuple[str, str], str]


def check(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """`PRAGMA quick_check` and `foreign_key_check`, and the schema held against the migrations."""
    for file in FILES:
        with snapshots.look(file) as connection:
            pages = run(connection, _QUICK_CHECK[file], {})
        yield from (Discrepancy("file", file.name, problem) for (problem,) in pages if problem != "ok")
        with snapshots.look(file) as connection:
            orphans = run(connection, _FOREIGN_KEY_CHECK[file], {})
        for table, row, parent, _ in orphans:
            yield Discrepancy("file", file.name, f"row {row} of {table} speaks of what is not in {parent}")
        with snapshots.look(file) as connection:
            found = _schema(connection, file)
        yield from _differences(file, found)


_QUICK_CHECK = {CATALOG: "PRAGMA catalog.quick_check", LOG: "PRAGMA log.quick_check"}
_FOREIGN_KEY_CHECK = {CATALOG: "PRAGMA catalog.foreign_key_check", LOG: "PRAGMA log.foreign_key_check"}
# Indexes that a constraint makes have no SQL; what ANALYZE leaves is no part of the schema.
_SCHEMA = {
    CATALOG: "SELECT type, name, sql FROM catalog.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_stat%'",
    LOG: "SELECT type, name, sql FROM log.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_stat%'",
}


def _schema(connection: apsw.Connection, file: File) -> Schema:
    return {(kind, name): sql for kind, name, sql in run(connection, _SCHEMA[file], {})}


def _differences(file: File, found: Schema) -> Iterator[Discrepancy]:
    wanted = _migrated(file)
    for kind, name in sorted(wanted.keys() | found.keys()):
        if (kind, name) not in found:
            yield Discrepancy("schema", f"{file.name}: {name}", f"the {kind} is missing")
        elif (kind, name) not in wanted:
            yield Discrepancy("schema", f"{file.name}: {name}", f"the {kind} is none of this store's")
        elif found[kind, name] != wanted[kind, name]:
            yield Discrepancy("schema", f"{file.name}: {name}", f"the {kind} differs from the migrations")


def _migrated(file: File) -> Schema:
    """The schema as the migrations make it."""
    with closing(apsw.Connection(":memory:")) as connection:
        add_fold(connection)
        for script in file.scripts():
            connection.execute(script.read_text(encoding="utf-8")).fetchall()
        return {(kind, name): sql for kind, name, sql in run(connection, _MIGRATED, {})}


_MIGRATED = "SELECT type, name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL"
