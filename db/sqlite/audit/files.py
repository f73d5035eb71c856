"""Checks the two files: one store id, undamaged pages, valid rows, and the schema of the migrations."""

from collections.abc import Iterator
from contextlib import closing

import apsw

from db.sqlite.audit.discrepancy import Discrepancy
from db.sqlite.connection import add_fold, fetch_all
from db.sqlite.snapshots import CATALOG, FILES, LOG, File, Snapshots

# The SQL of each object, by its type and name.
Schema = dict[tuple[str, str], str]


def check(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """Compares the ids, runs `quick_check` and `foreign_key_check`, and compares the schema with the migrations.

    Each step has a short snapshot of its own, because a snapshot blocks the checkpoints of a running store.
    """
    yield from _different_ids(snapshots)
    for file in FILES:
        with snapshots.snapshot(file) as connection:
            pages = fetch_all(connection, _QUICK_CHECK[file], {})
        for (problem,) in pages:
            if problem != "ok":  # a damaged page may hide anything; a row that fails its CHECK can still be read
                yield Discrepancy("file", file.name, problem, hides=not problem.startswith("CHECK constraint failed"))
        with snapshots.snapshot(file) as connection:
            orphans = fetch_all(connection, _FOREIGN_KEY_CHECK[file], {})
        for table, row, parent, _ in orphans:
            yield Discrepancy("file", file.name, f"row {row} of {table} speaks of what is not in {parent}")
        with snapshots.snapshot(file) as connection:
            found = _schema(connection, file)
        yield from _differences(file, found)


_IDS = "SELECT log.store.id, catalog.store.id FROM log.store JOIN catalog.store"


def _different_ids(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """Compares the ids of the two files. A log that has not met its catalog yet has none, and matches any."""
    with snapshots.snapshot(LOG, CATALOG) as connection:
        ids = fetch_all(connection, _IDS, {})
    for of_log, of_catalog in ids:
        if of_log != of_catalog:
            what = f"is of store {of_log}, and {CATALOG.name} is of store {of_catalog}: one of the two is another's"
            yield Discrepancy("file", LOG.name, what)


_QUICK_CHECK = {CATALOG: "PRAGMA catalog.quick_check", LOG: "PRAGMA log.quick_check"}
_FOREIGN_KEY_CHECK = {CATALOG: "PRAGMA catalog.foreign_key_check", LOG: "PRAGMA log.foreign_key_check"}
# The index of a constraint has no SQL. The tables of ANALYZE are not part of the schema.
_SCHEMA = {
    CATALOG: "SELECT type, name, sql FROM catalog.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_stat%'",
    LOG: "SELECT type, name, sql FROM log.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_stat%'",
}


def _schema(connection: apsw.Connection, file: File) -> Schema:
    return {(kind, name): sql for kind, name, sql in fetch_all(connection, _SCHEMA[file], {})}


def _differences(file: File, found: Schema) -> Iterator[Discrepancy]:
    wanted = _migrated(file)
    for kind, name in sorted(wanted.keys() | found.keys()):
        if (kind, name) not in found:
            yield Discrepancy("schema", f"{file.name}: {name}", f"the {kind} is missing")
        elif (kind, name) not in wanted:
            what = f"the {kind} is none of this store's"
            yield Discrepancy("schema", f"{file.name}: {name}", what, detail=found[kind, name])
        elif found[kind, name] != wanted[kind, name]:
            what = f"the {kind} differs from the migrations"
            yield Discrepancy("schema", f"{file.name}: {name}", what, detail=found[kind, name])


def _migrated(file: File) -> Schema:
    """Returns the schema that the migrations make."""
    with closing(apsw.Connection(":memory:")) as connection:
        add_fold(connection)
        for script in file.scripts():
            connection.execute(script.read_text(encoding="utf-8")).fetchall()
        return {(kind, name): sql for kind, name, sql in fetch_all(connection, _MIGRATED, {})}


_MIGRATED = "SELECT type, name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL"
