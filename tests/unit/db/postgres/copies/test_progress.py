"""The progress of a copy: at the first row of a table, and after each step."""

import pytest

from db.postgres.copies.progress import counted


def test_the_first_row_and_each_step_are_told_and_all_rows_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.postgres.copies.progress.ROWS_A_STEP", 1_000)
    told: list[str] = []
    assert list(counted(range(2_001), "log.orders is read", told.append)) == list(range(2_001))
    assert told == [f"log.orders is read, {number} rows" for number in ("0", "1,000", "2,000")]


def test_a_table_without_rows_tells_nothing() -> None:
    told: list[str] = []
    assert list(counted([], "log.orders is read", told.append)) == []
    assert told == []
