"""The record of the newest audit: whole or not there, and never in the way of the audit."""

import json
from pathlib import Path

import pytest

from db.sqlite.audit import Audit, Discrepancy
from db.sqlite.last_audit import MAX_RECORDED, read_last_audit, record_audit
from domain.owner import LastAudit

NO_TIME: dict[str, object] = {"is_clean": True, "last_clean": None, "discrepancies": []}
CLEAN = Audit(())
WRONG = Audit((Discrepancy("I1", "Tux", "the stock is 3, and not 4"),))


def test_a_record_says_when_the_store_was_last_clean(tmp_path: Path) -> None:
    assert read_last_audit(tmp_path) is None
    record_audit(tmp_path, CLEAN)
    clean = read_last_audit(tmp_path)
    assert clean is not None
    assert clean == LastAudit(clean.time, True, [], clean.time)
    record_audit(tmp_path, WRONG)
    record_audit(tmp_path, WRONG)
    wrong = read_last_audit(tmp_path)
    assert wrong is not None
    assert wrong == LastAudit(wrong.time, False, ["I1, Tux: the stock is 3, and not 4"], clean.time)
    assert wrong.time >= clean.time
    record_audit(tmp_path, CLEAN)
    again = read_last_audit(tmp_path)
    assert again is not None and again.last_clean == again.time >= wrong.time


def test_a_store_that_never_was_clean_has_no_such_time(tmp_path: Path) -> None:
    record_audit(tmp_path, WRONG)
    record = read_last_audit(tmp_path)
    assert record is not None and record.last_clean is None


def test_a_record_of_many_discrepancies_stays_short(tmp_path: Path) -> None:
    record_audit(tmp_path, Audit(WRONG.discrepancies * (MAX_RECORDED + 1)))
    record = read_last_audit(tmp_path)
    assert record is not None and len(record.discrepancies) == MAX_RECORDED


def test_the_owner_alone_may_read_the_record_and_nothing_else_stays(tmp_path: Path) -> None:
    record_audit(tmp_path, CLEAN)
    assert [path.name for path in tmp_path.iterdir()] == ["audit.json"]
    assert (tmp_path / "audit.json").stat().st_mode & 0o777 == 0o600


def test_the_record_is_beside_the_order_log_that_a_link_names(tmp_path: Path) -> None:
    own, both = tmp_path / "own", tmp_path / "both"
    own.mkdir()
    both.mkdir()
    (own / "order.db").touch()
    (both / "order.db").symlink_to(own / "order.db")
    record_audit(both, CLEAN)
    assert read_last_audit(own) == read_last_audit(both) is not None


def test_an_audit_that_cannot_be_recorded_is_still_an_audit(tmp_path: Path) -> None:
    record_audit(tmp_path / "gone", CLEAN)
    (tmp_path / "audit.json").mkdir()
    record_audit(tmp_path, CLEAN)
    assert read_last_audit(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["audit.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"time": 1}',
        json.dumps({"time": 1, "is_clean": True, "last_clean": None, "discrepancies": []}),
    ],
)
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "audit.json").write_text(text)
    assert read_last_audit(tmp_path) is None
