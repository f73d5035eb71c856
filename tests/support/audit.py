"""Audits the store in a folder, as `python -m admin audit` does."""

from pathlib import Path

from db.sqlite.audit import Audit, audit
from db.sqlite.snapshots import Snapshots


def run_audit(data_dir: Path) -> Audit:
    """Runs all checks on the store in the folder."""
    with Snapshots(data_dir) as snapshots:
        return audit(snapshots)


def findings(data_dir: Path) -> list[str]:
    """Returns each discrepancy of the store in the folder as a line."""
    return [f"{one.promise} {one.where}: {one.what}" for one in run_audit(data_dir).discrepancies]
