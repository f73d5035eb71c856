"""What an audit of a folder finds."""

from pathlib import Path

from db.audit import Audit, audit
from db.snapshots import Snapshots


def audited(data_dir: Path) -> Audit:
    with Snapshots(data_dir) as snapshots:
        return audit(snapshots)


def found(data_dir: Path) -> list[str]:
    """Each discrepancy as a line."""
    return [f"{one.promise} {one.where}: {one.what}" for one in audited(data_dir).discrepancies]
