"""The record of the newest audit of a store's own folder: the file audit.json beside the two databases."""

import json
import os
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from db.audit import Audit
from db.connection import sync
from db.staging import PRIVATE_FILE
from domain.owner import LastAudit
from domain.owner_json import decode_audit, encode_audit

RECORD_NAME = "audit.json"
# A record has no more discrepancies: the audit itself names them all.
MAX_RECORDED = 100


def record_audit(data_dir: Path, result: Audit) -> LastAudit:
    """Records an audit that has just ended, and returns the record. A failure of the disk is no error of the audit."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # as the databases write times
    before = read_last_audit(data_dir)
    lines = [f"{found.promise}, {found.where}: {found.what}" for found in result.discrepancies[:MAX_RECORDED]]
    last_clean = before.last_clean if before is not None else None
    record = LastAudit(now, result.is_clean, lines, now if result.is_clean else last_clean)
    with suppress(OSError):
        _write(data_dir / RECORD_NAME, json.dumps(encode_audit(record), ensure_ascii=False, indent=1))
    return record


def read_last_audit(data_dir: Path) -> LastAudit | None:
    """Returns the record of the newest audit; None when there is none that can be read."""
    try:
        return decode_audit(json.loads((data_dir / RECORD_NAME).read_text("utf-8")))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    """Writes the file whole or not at all. Raises OSError."""
    new = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        with open(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
        sync(new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
