"""A forger of books: has a shell, drops the triggers, writes what he likes, and puts the triggers back."""

from pathlib import Path

import apsw

_TRIGGERS = "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'"
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"


def forge(path: Path, sql: str) -> None:
    """Run `sql` on a database as if it had no triggers, foreign keys and checks; its schema is then as before."""
    shell = apsw.Connection(str(path))
    triggers = shell.execute(_TRIGGERS).fetchall()
    shell.pragma("ignore_check_constraints", True)
    for name, *_ in triggers:
        shell.execute(f"DROP TRIGGER {name}")
    shell.execute(sql).fetchall()
    tables = {name for (name,) in shell.execute(_TABLES)}
    for _, table, trigger in triggers:
        if table in tables:
            shell.execute(str(trigger))
    shell.close()


def forge_schema(path: Path, sql: str) -> None:
    """Run `sql`, which may take tables, triggers and constraints away, and put nothing back."""
    shell = apsw.Connection(str(path))
    shell.pragma("legacy_alter_table", True)
    shell.execute(sql).fetchall()
    shell.close()
