"""The record of the newest audit of a store's own folder: the file audit.json beside the two databases."""

import json
import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from db.sqlite.audit import Audit
from db.sqlite.connection import sync
from db.sqlite.pairing import LOG_NAME
from db.sqlite.staging import PRIVATE_FILE, chown_as
from domain.owner import LastAudit, discrepancy_line
from domain.owner_json import decode_audit, encode_audit

RECORD_NAME = "audit.json"
# A record has no more discrepancies: the audit itself names them all.
MAX_RECORDED = 100


def record_audit(folder: Path, result: Audit) -> None:
    """Records an audit that has just ended. A failure of the disk is no error of the audit.

    Where the folder has links to the two databases, the record is beside the order log itself, whose tier reads it.
    """
    path = (folder / LOG_NAME).resolve().with_name(RECORD_NAME)
    lines = [discrepancy_line(found.promise, found.where, found.what) for found in result.discrepancies]
    record = new_record(lines, read_last_audit(folder))
    with suppress(OSError):
        _write(path, json.dumps(encode_audit(record), ensure_ascii=False, indent=1))


def new_record(discrepancies: Sequence[str], before: LastAudit | None) -> LastAudit:
    """Returns the record of an audit that has just ended. `before` is that of the audit before it."""
    now = timestamp()
    last_clean = before.last_clean if before is not None else None
    return LastAudit(now, not discrepancies, discrepancies[:MAX_RECORDED], last_clean if discrepancies else now)


def timestamp(posix_s: float | None = None) -> str:
    """Returns a time, by default now, as the databases write it."""
    time = datetime.now(UTC) if posix_s is None else datetime.fromtimestamp(posix_s, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_last_audit(folder: Path) -> LastAudit | None:
    """Returns the record of the newest audit; None when there is none that can be read."""
    try:
        text = (folder / LOG_NAME).resolve().with_name(RECORD_NAME).read_text("utf-8")
        return decode_audit(json.loads(text))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    """Writes the file whole or not at all. Raises OSError."""
    new = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        with open(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
        chown_as(path.parent, new)
        sync(new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
