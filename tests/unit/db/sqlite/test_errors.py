"""Each error of SQLite belongs to one group; all but the store's own mistakes are explained in one line."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from admin.program import main
from db.sqlite.catalog import CatalogStore
from db.sqlite.database import Database
from db.sqlite.errors import BUSY, DAMAGE, DISK_ERRORS, NoSharedMemory, explain
from db.sqlite.migrate import migrate
from db.sqlite.order import OrderStore
from db.start import StartPostponed, StartRefused
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.values import Buy
from tests.support.buying import never_limited
from wsgi_apps.recovery import Recovery

# Mistakes in the store's own SQL or use of apsw, which must end with a traceback.
MISTAKES = {
    "AbortError",
    "BindingsError",
    "ConnectionClosedError",
    "ConnectionNotClosedError",
    "ConstraintError",
    "CursorClosedError",
    "EmptyError",
    "Error",
    "ExecutionCompleteError",
    "ExtensionLoadingError",
    "ForkingViolationError",
    "IncompleteExecutionError",
    "InternalError",
    "InterruptError",
    "InvalidContextError",
    "MismatchError",
    "MisuseError",
    "NoFTS5Error",
    "NotFoundError",
    "RangeError",
    "SQLError",
    "ThreadingViolationError",
    "TooBigError",
    "VFSFileClosedError",
    "VFSNotImplementedError",
}
ALL_ERRORS = {name for name in dir(apsw) if name.endswith("Error")}


def test_every_error_of_sqlite_is_in_one_group() -> None:
    mistakes = {getattr(apsw, name) for name in MISTAKES}
    assert not mistakes & {*BUSY, *DAMAGE, *DISK_ERRORS}
    assert {*BUSY, *DAMAGE, *DISK_ERRORS} | mistakes == {getattr(apsw, name) for name in ALL_ERRORS}


@pytest.mark.parametrize("error", [*DAMAGE, *DISK_ERRORS, *BUSY, NoSharedMemory])
def test_every_error_of_the_disk_raises_unavailable(
    catalog: CatalogStore, tmp_path: Path, error: type[Exception]
) -> None:
    database = Database(tmp_path / "catalog.db")
    for use in (database.read, database.write):
        with pytest.raises(Unavailable), use():
            raise error("the message of SQLite")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (apsw.CorruptError("malformed"), "damaged or no database (malformed); run python -m admin audit"),
        (apsw.NotADBError("no database"), "restore a backup"),
        (apsw.ReadOnlyError("readonly"), "read-only (readonly); make it writable"),
        (apsw.FullError("full"), "the disk is full (full); make room"),
        (NoSharedMemory("stays delete"), "write-ahead logging (WAL) needs shared memory, which the file system "),
    ],
)
def test_each_explanation_says_what_to_do(tmp_path: Path, error: Exception, words: str) -> None:
    line = explain(tmp_path / "order.db", error)
    assert line.startswith(f"{tmp_path / 'order.db'}: ") and words in line and "\n" not in line


def test_a_disk_that_turned_read_only_under_an_open_file_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite reports only a disk I/O error."""
    stat = os.statvfs(tmp_path)
    read_only = os.statvfs_result((*stat[:8], stat.f_flag | os.ST_RDONLY, *stat[9:]))
    assert "read-only" not in explain(tmp_path / "order.db", apsw.IOError("disk I/O error"))
    monkeypatch.setattr(os, "statvfs", lambda _path: read_only)
    assert "read-only" in explain(tmp_path / "order.db", apsw.IOError("disk I/O error"))


def test_the_error_of_a_read_only_database_does_not_suggest_a_retry(
    catalog: CatalogStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ReadOnly(apsw.Connection):
        def readonly(self, name: str) -> bool:
            return True

    catalog.close()
    monkeypatch.setattr(apsw, "Connection", ReadOnly)
    with pytest.raises(Unavailable, match="the store's disk is read-only"):
        catalog.sell([Buy("k", "Tux", 1)])
    with pytest.raises(StartRefused, match=r"catalog\.db .*: the disk, the folder or the file is read-only"):
        catalog.migrate()


def test_a_start_is_postponed_only_for_an_error_that_may_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scripts").mkdir()
    for error, kind in ((apsw.FullError("full"), StartPostponed), (apsw.CorruptError("malformed"), StartRefused)):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("db.sqlite.migrate.connect", fail)
        with pytest.raises(StartRefused) as refused:
            migrate(tmp_path / "t.db", tmp_path / "scripts", 1)
        assert type(refused.value) is kind


def damage(path: Path) -> None:
    """Overwrites every page but the first."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xde\xad" * ((path.stat().st_size - 4096) // 2))


def make_foreign(path: Path) -> None:
    path.unlink()
    with apsw.Connection(str(path)) as other:
        other.execute("CREATE TABLE theirs (x)").fetchall()


def make_text(path: Path) -> None:
    path.write_text("my diary\n" * 1_000)


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_missing(path: Path) -> None:
    path.unlink()


COMMANDS = [
    ["status"],
    ["audit"],
    ["reconcile"],
    ["reconcile", "--apply"],
    ["backup", "copy"],
    ["restock", "Tux", "1"],
]


@pytest.mark.parametrize("file", ["catalog.db", "order.db"])
@pytest.mark.parametrize("break_file", [damage, make_foreign, make_text, make_empty, make_folder, make_missing])
def test_every_command_names_a_broken_file_in_one_line(
    checkout: Checkout,
    catalog: CatalogStore,
    orders: OrderStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    break_file: Callable[[Path], None],
) -> None:
    for number in range(30):
        checkout.place(Buy(f"k{number}", "Tux", 1))
    catalog.close()
    orders.close()
    break_file(tmp_path / file)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for command in COMMANDS:
        arguments = [str(tmp_path / "copy") if word == "copy" else word for word in command]
        code = main(arguments)
        out, err = capsys.readouterr()
        if command[0] == "restock" and file == "order.db":
            assert (code, err) == (0, ""), "a change of the catalog needs no order log"
        elif command == ["audit"] and break_file in (damage, make_text):
            assert code == 1 and file in out and err == ""
            assert main(["audit", "--json"]) == 1
            [found] = json.loads(capsys.readouterr().out)["discrepancies"]
            assert (found["promise"], found["where"]) == ("file", file) and str(tmp_path / file) in found["what"]
        else:
            assert code == 2 and err.count("\n") == 1 and str(tmp_path / file) in err, (command, err)
        assert not (tmp_path / "copy").exists()


def test_a_damaged_order_log_is_logged_once_and_does_not_end_the_recovery(
    checkout: Checkout, catalog: CatalogStore, orders: OrderStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(30):
        checkout.place(Buy(f"k{number}", "Tux", 1))
    orders.close()
    shutil.copy(tmp_path / "order.db", tmp_path / "copy.db")
    damage(tmp_path / "order.db")
    recovery = Recovery(never_limited(orders, catalog))
    for second in range(5):
        with pytest.raises(Unavailable):
            recovery.sweep(second)
        with pytest.raises(Unavailable, match="damaged"):
            checkout.place(Buy("later", "Tux", 1))
    [line] = caplog.messages
    assert "order.db: damaged" in line and "python -m admin audit" in line
