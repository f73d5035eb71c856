"""Audits and backs up the store by the owner's program, in a process of its own.

An audit computes for seconds, and buys in this process would wait for its interpreter lock.
"""

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from db.sqlite.last_audit import new_record, read_last_audit, timestamp
from db.sqlite.pairing import CATALOG_NAME, LOG_NAME
from domain.errors import Unavailable
from domain.owner import Backup, LastAudit, discrepancy_line

# The exit codes of the program: all is well, or the audit has found something. Any other is a failure.
_DONE = (0, 1)
# A backup's name is its time in UTC, without the colons that some file systems refuse, and a digest of its key.
_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d\.\d{3}Z)(?:-[0-9a-f]+)?")
_DIGEST_DIGITS = 12


class BookKeeper:
    """Works on the store whose two files are in `books_dir`, see domain.owner.BookKeeping.

    `command` runs the owner's program on that folder.
    """

    _backup_command = "backup"

    def __init__(self, command: Sequence[str], books_dir: Path, backup_dir: Path) -> None:
        self._command = command
        self._books_dir = books_dir
        self._backup_dir = backup_dir

    def audit(self) -> LastAudit:
        """Audits the books, and returns the record that the audit leaves. Raises Unavailable, which says why."""
        self._require_books()
        before = self._read_last_audit()
        report = self._run("audit")
        record = self._read_last_audit()
        if record is not None and record != before:
            return record
        # The audit could not write its record: a full disk makes no verdict void.
        lines = [discrepancy_line(found["promise"], found["where"], found["what"]) for found in report["discrepancies"]]
        return new_record(lines, before)

    def backups(self) -> Sequence[Backup]:
        """Returns the backups, the newest first. A folder is one when both files are in it."""
        with suppress(OSError):
            found = [_backup(folder) for folder in self._backup_dir.iterdir() if not folder.name.startswith(".")]
            return sorted((one for one in found if one is not None), key=lambda one: (one.time, one.name), reverse=True)
        return []

    def back_up(self, key: str) -> Backup:
        """Makes a backup, once for its key, whose name is its time. Raises Unavailable, which says why."""
        digest = hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_DIGITS]
        if made := next((one for one in self.backups() if one.name.endswith(f"Z-{digest}")), None):
            return made
        folder = self._backup_dir / f"{timestamp().replace(':', '-')}-{digest}"
        self._require_books()
        self._run(self._backup_command, str(folder))
        backup = _backup(folder)
        if backup is None:
            raise Unavailable(f"the backup {folder.name} is gone")
        return backup

    def _read_last_audit(self) -> LastAudit | None:
        return read_last_audit(self._books_dir)

    def _require_books(self) -> None:
        missing = [name for name in (CATALOG_NAME, LOG_NAME) if not (self._books_dir / name).is_file()]
        if missing:
            raise Unavailable(
                f"the order tier finds no {missing[0]} in its BOOKS_DIR, and this needs both files: set BOOKS_DIR to "
                "a folder with links to both, or run python -m admin where they are (docs/deployment.md)"
            )

    def _run(self, *arguments: str) -> Any:
        """Runs the owner's program, and returns its report. Raises Unavailable with its error."""
        try:
            done = subprocess.run(
                [*self._command, *arguments, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            report = json.loads(done.stdout)
        except (OSError, ValueError) as error:
            raise Unavailable(f"python -m admin {arguments[0]} cannot be run here, see the log") from error
        if done.returncode not in _DONE or "error" in report:
            raise Unavailable(str(report.get("error", f"python -m admin {arguments[0]} has failed")))
        return report


class PostgresBookKeeper(BookKeeper):
    """Works on the store whose two schemas are on PostgreSQL. A backup is a copy of it in two files.

    `command` runs the owner's program with the addresses of both databases, unless it `lacks` the setting of one.
    `last_audit` reads the record that an audit leaves.
    """

    _backup_command = "copy-out"

    def __init__(
        self,
        command: Sequence[str],
        backup_dir: Path,
        last_audit: Callable[[], LastAudit | None],
        lacks: str | None = None,
    ) -> None:
        super().__init__(command, backup_dir, backup_dir)
        self._last_audit = last_audit
        self._lacks = lacks

    def _read_last_audit(self) -> LastAudit | None:
        return self._last_audit()

    def _require_books(self) -> None:
        if self._lacks is not None:
            raise Unavailable(
                f"the order tier has no {self._lacks}, and this needs both databases: set it there, or run "
                "python -m admin where both are known (docs/books.md)"
            )


def _backup(folder: Path) -> Backup | None:
    """Returns the backup in a folder; None when there is none. One that was made by hand is as old as its files."""
    with suppress(OSError):
        stats = [(folder / name).stat() for name in (CATALOG_NAME, LOG_NAME)]
        named = _NAME.fullmatch(folder.name)
        time = ":".join(named.groups()) if named else timestamp(max(stat.st_mtime for stat in stats))
        return Backup(folder.name, time, sum(stat.st_size for stat in stats))
    return None
