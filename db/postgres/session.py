"""The statements of one transaction on PostgreSQL, as few round trips as there are decisions in it."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from db.postgres.connection import Connection, NoAnswer
from db.postgres.durability import require_still_durable
from db.postgres.errors import Kind, explain, kind_of
from db.postgres.parameters import to_psycopg

Row = tuple[Any, ...]
Statement = tuple[str, Mapping[str, Any]]

_COMMIT: Statement = ("COMMIT", {})


class OutcomeUnknown(Exception):
    """The server was asked to commit, and did not plainly say that it has: the transaction is stored, or it is not."""


class Session:
    """One transaction on one connection. SQL texts have `:named` parameters, as on SQLite.

    The statements of the `opening` travel with the first of the transaction, so they cost no round trip. Without an
    opening, each call is a transaction of its own. A row of the opening has the values of SETTINGS. All methods
    raise psycopg.Error, and NotDurable where these have become such that the server could lose the transaction.
    """

    def __init__(self, connection: Connection, opening: Sequence[Statement] = ()) -> None:
        self._connection = connection
        self._opening = opening
        self._is_open = False
        self._is_committed = False

    def fetch_all(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        """Runs one statement in one round trip, and returns all its rows."""
        return self.fetch_together((sql, values))[0]

    def fetch_together(self, *statements: Statement) -> list[list[Row]]:
        """Runs statements in their order in one round trip. Returns all rows of each, none for one without rows.

        After a failed statement the server runs none of the others.
        """
        return [_rows(cursor) for cursor in self._execute(statements)]

    def commit_with(self, *statements: Statement) -> list[list[Row]]:
        """Runs the last statements of a transaction and its COMMIT in one round trip, and returns their rows.

        Raises OutcomeUnknown when the server has not plainly answered that they are stored.
        """
        self._connection.warnings.clear()
        try:
            *cursors, commit = self._execute((*statements, _COMMIT))
        except psycopg.Error as error:
            if self._was_rolled_back(error):
                raise
            raise OutcomeUnknown(self._explain(error)) from error
        self._is_committed = True
        # Whatever the warning says: mostly that the server did not wait for its standby.
        if warnings := self._connection.warnings:
            raise OutcomeUnknown(f"COMMIT brought a warning ({warnings[0]})")
        # The server answers the COMMIT of a failed transaction with ROLLBACK, and with no error.
        if commit.statusmessage != "COMMIT":
            raise RuntimeError(f"COMMIT was answered with {commit.statusmessage}: an earlier error was ignored")
        return [_rows(cursor) for cursor in cursors]

    def commit(self) -> None:
        """Commits, unless nothing has run or `commit_with` has."""
        if self._opening and self._is_open and not self._is_committed:
            self.commit_with()

    def roll_back(self) -> None:
        """Rolls back an open transaction. Closes the connection when that fails."""
        connection = self._connection
        if connection.closed or connection.info.transaction_status == TransactionStatus.IDLE:
            return
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()

    def _execute(self, statements: Sequence[Statement]) -> list[psycopg.Cursor[Row]]:
        """Runs the statements in one round trip, behind the opening if they are the first."""
        if self._is_committed:
            raise RuntimeError("commit_with must be the last call of a transaction")
        opening = () if self._is_open else self._opening
        self._is_open = True
        connection = self._connection
        if not opening and len(statements) == 1:
            sql, values = statements[0]
            return [connection.execute(to_psycopg(sql), values)]
        with connection.together():
            cursors = [connection.execute(to_psycopg(sql), values) for sql, values in (*opening, *statements)]
        for cursor in cursors[: len(opening)]:
            for settings in _rows(cursor):
                require_still_durable(connection.server, connection.info.server_version, settings)
        return cursors[len(opening) :]

    def _was_rolled_back(self, error: psycopg.Error) -> bool:
        """Whether an error in place of the answer to COMMIT says that nothing is stored."""
        connection = self._connection
        if connection.closed:
            return False
        # An earlier statement failed, so the server ran no COMMIT. Or COMMIT found that a constraint is broken.
        return connection.info.transaction_status == TransactionStatus.INERROR or kind_of(error) is Kind.MISTAKE

    def _explain(self, error: psycopg.Error) -> str:
        if isinstance(error, NoAnswer) and self._connection.server["synchronous_standby_names"]:
            return f"{explain(error)}; maybe no synchronous standby is connected, for which each COMMIT waits"
        return explain(error)


def _rows(cursor: psycopg.Cursor[Row]) -> list[Row]:
    return cursor.fetchall() if cursor.description else []
