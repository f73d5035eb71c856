"""Forges databases as somebody with a shell could, past triggers and checks. The audit must find the forgeries."""

from pathlib import Path

import apsw

_TRIGGERS = "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'"
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"


def forge(path: Path, sql: str) -> None:
    """Runs `sql` on a database without its triggers, foreign keys and checks, and restores the schema."""
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
    """Runs `sql`, which may drop tables, triggers and constraints, and restores nothing."""
    shell = apsw.Connection(str(path))
    shell.pragma("legacy_alter_table", True)
    shell.execute(sql).fetchall()
    shell.close()
