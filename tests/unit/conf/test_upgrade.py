"""The decisions behind SIGUSR2 and SIGHUP, without a running tier."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from conf.loaded import changed_files, loaded_files
from conf.settings import load
from conf.upgrade import is_supervised, require_same_schema
from db.sqlite.catalog import CatalogStore
from db.sqlite.snapshots import CATALOG, LOG
from db.start import StartRefused
from tests.support.earlier_schemas import older


def test_a_supervisor_watches_its_child_and_a_container_its_first_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARENT_PID", raising=False)
    assert (is_supervised(1), is_supervised(7)) == (True, False)
    monkeypatch.setenv("PARENT_PID", "7")
    assert (is_supervised(7), is_supervised(8)) == (True, False)


def test_only_a_database_of_an_older_schema_stops_a_successor(tmp_path: Path) -> None:
    settings = load({"DATA_DIR": str(tmp_path)})
    for tier in settings.tiers:
        require_same_schema(settings, tier)  # no database exists yet
    older(tmp_path, LOG, version=2)
    CatalogStore(tmp_path / "catalog.db").migrate()
    require_same_schema(settings, settings.catalog)
    require_same_schema(settings, settings.front_end)
    with pytest.raises(StartRefused, match=r"order\.db has schema 2, and this release needs"):
        require_same_schema(settings, settings.order)
    assert CATALOG.newest > 2


def test_a_written_or_deleted_file_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("same", "longer", "gone", "back")
    for name in names:
        (tmp_path / name).write_text("1")
        module = ModuleType(f"module_{name}")
        module.__file__ = str(tmp_path / name)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    marks = loaded_files()
    assert {tmp_path / name for name in names} <= marks.keys()
    assert changed_files(marks) == []
    (tmp_path / "longer").write_text("12")
    (tmp_path / "gone").unlink()
    (tmp_path / "back").replace(tmp_path / "aside")
    (tmp_path / "aside").replace(tmp_path / "back")
    assert changed_files(marks) == [tmp_path / "gone", tmp_path / "longer"]


def test_a_file_that_is_not_used_stops_no_successor(tmp_path: Path) -> None:
    """On PostgreSQL a new release migrates beside tiers of the former one in any case."""
    older(tmp_path, LOG, version=2)
    settings = load({"DATA_DIR": str(tmp_path), "ORDER_DATABASE": "postgresql://host/store"})
    require_same_schema(settings, settings.order)
