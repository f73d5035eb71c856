"""Migrates a schema to its newest version, and refuses a schema that this code must not change.

A migration is a file NNNN_what.sql. Each runs once, in order. All missing ones run in one transaction, which also lists
them in the table `migrations` of the schema: a crash leaves the old version, and of several processes that start at
once one migrates while the others wait. A migration that has run must not be edited: the table has its checksum.

Whoever migrates must own the schema, or may create it in the database. Once it is new enough, a role that may only read
and change rows can run the tiers.
"""

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from psycopg.pq import TransactionStatus

from db.postgres.connection import Connection, connect, describe
from db.postgres.durability import NotDurable, require_durable
from db.postgres.errors import Kind, explain, kind_of
from db.postgres.standbys import SELECT_STANDBYS, explain_standbys
from db.start import StartPostponed, StartRefused

# Long enough for the migration of a large schema, and for another process that migrates the same one.
_WAIT_TIMEOUT_S = 600.0
_PASSING = (Kind.LOST, Kind.CONFLICT, Kind.STALE, Kind.BUDGET, Kind.FULL)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Script:
    """One migration."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrate(address: str, schema: str, migrations: Path, setting: str | None = None) -> None:
    """Creates or upgrades the schema in the database at `address`. Raises StartRefused, and then has changed nothing.

    `setting` is the name of the setting with the address, for the log and the error.
    """
    try:
        name = f"{describe(address)} ({setting or schema})"
    except psycopg.Error:  # its message has the whole address, with the password
        raise StartRefused(f"{setting or schema} has no address of PostgreSQL that libpq reads") from None
    scripts = [
        _Script(version, path.stem, path.read_text("utf-8"))
        for version, path in enumerate(sorted(migrations.glob("[0-9]*.sql")), 1)
    ]
    try:
        with contextlib.closing(connect(address, schema, _WAIT_TIMEOUT_S)) as connection:
            require_durable(connection.server, connection.info.server_version)
            _require_unicode(connection, name)
            _migrate(connection, name, schema, scripts)
            _log.info("%s: %s", name, explain_standbys(_fetch(connection, SELECT_STANDBYS)))
    except NotDurable as error:
        raise StartRefused(f"{name}: {error}") from error
    except InsufficientPrivilege as error:
        raise StartRefused(
            f"{name}: {explain(error)}; migrate once as the owner of the schema {schema}, or grant CREATE on the "
            "database to the role"
        ) from error
    except psycopg.Error as error:
        may_pass = kind_of(error) in _PASSING
        raise (StartPostponed if may_pass else StartRefused)(f"{name}: {explain(error)}") from error


def _require_unicode(connection: Connection, name: str) -> None:
    """Raises StartRefused for a database that cannot hold each name, or would count bytes for characters."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StartRefused(
            f"{name}: the database has the encoding {encoding}; create one with CREATE DATABASE … ENCODING 'UTF8' "
            "TEMPLATE template0"
        )


def _migrate(connection: Connection, name: str, schema: str, scripts: list[_Script]) -> None:
    if _version(connection, name, schema, scripts) == len(scripts):
        return  # without the lock, and without the privileges of an owner
    connection.warnings.clear()
    with _transaction(connection):
        _fetch(connection, "SET LOCAL lock_timeout = '600s'")
        _fetch(connection, _LOCK, {"name": f"toystore {schema}"})
        _fetch(connection, "SET LOCAL lock_timeout = '10s'")  # a buy waits for as long behind this one's wait
        version = _version(connection, name, schema, scripts)
        if version == 0:
            _fetch(connection, _named(_CREATE_SCHEMA, schema))
            _fetch(connection, _named(_CREATE_TABLE, schema))
        for script in scripts[version:]:
            _apply(connection, name, schema, script)
    if connection.warnings:
        raise StartPostponed(f"{name}: the migration may not be stored ({connection.warnings[0]}); start again")
    if 0 < version < len(scripts):
        _log.info("%s was migrated from schema %d to schema %d", name, version, len(scripts))


# The lock ends with the transaction.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 0))"
_CREATE_SCHEMA = "CREATE SCHEMA IF NOT EXISTS {schema}"
_CREATE_TABLE = """
    CREATE TABLE {schema}.migrations (
        version integer PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied timestamptz NOT NULL DEFAULT now())"""
_INSERT = "INSERT INTO {schema}.migrations (version, name, checksum) VALUES (%(version)s, %(name)s, %(checksum)s)"


def _apply(connection: Connection, name: str, schema: str, script: _Script) -> None:
    try:
        connection.execute(script.text.encode(), prepare=False)
        row = {"version": script.version, "name": script.name, "checksum": script.checksum}
        _fetch(connection, _named(_INSERT, schema), row)
    except psycopg.Error as error:
        if kind_of(error) is not Kind.MISTAKE:
            raise
        raise StartRefused(
            f"{name}: the migration {script.name} failed ({explain(error)}); the schema stays as it was"
        ) from error


_TABLES = """
    SELECT count(*), count(*) FILTER (WHERE relname = 'migrations')
    FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = %(schema)s"""
_APPLIED = "SELECT version, name, checksum FROM {schema}.migrations ORDER BY version"


def _version(connection: Connection, name: str, schema: str, scripts: list[_Script]) -> int:
    """Returns the version of the schema; 0 when it is missing or empty. Raises StartRefused when it is not ours."""
    [(tables, ours)] = _fetch(connection, _TABLES, {"schema": schema})
    if tables == 0:
        return 0
    if not ours:
        raise StartRefused(f"{name}: the schema {schema} is not one of this store; set another database")
    applied = _fetch(connection, _named(_APPLIED, schema))
    if len(applied) > len(scripts):
        raise StartRefused(
            f"{name} has schema {len(applied)}, newer than this code's {len(scripts)}; run the newer release"
        )
    for (version, script_name, checksum), script in zip(applied, scripts, strict=False):
        if (version, checksum) != (script.version, script.checksum):
            raise StartRefused(
                f"{name}: the migration {script_name} that made the schema {schema} is not the one of this code; "
                "set another database, or run the release that made it"
            )
    return len(applied)


@contextlib.contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            connection.execute("ROLLBACK")
        raise


def _named(text: str, schema: str) -> sql.Composed:
    return sql.SQL(text).format(schema=sql.Identifier(schema))


def _fetch(connection: Connection, query: Any, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    cursor = connection.execute(query, values, prepare=False)
    return cursor.fetchall() if cursor.description else []
