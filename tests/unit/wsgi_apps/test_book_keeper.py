"""Audits and backups by the owner's program, in a process of its own."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from db.sqlite.last_audit import read_last_audit
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.owner import Backup, LastAudit
from domain.values import Buy
from tests.support.forgery import forge
from wsgi_apps.book_keeper import BookKeeper, PostgresBookKeeper

# A program in the place of the owner's, which prints its first argument and exits with its second one.
FAKE = "import sys; print(sys.argv[1]); sys.exit(int(sys.argv[2]))"

MakeKeeper = Callable[..., BookKeeper]


@pytest.fixture
def books(tmp_path: Path, checkout: Checkout) -> Path:
    """The folder of a store with an order."""
    checkout.place(Buy("k", "Tux", 1))
    return tmp_path


@pytest.fixture
def keeper(books: Path) -> BookKeeper:
    return BookKeeper(["env", f"DATA_DIR={books}", sys.executable, "-m", "admin"], books, books / "backups")


def faked(books: Path, stdout: str, exit_code: int) -> BookKeeper:
    """Returns a keeper whose program answers this."""
    return BookKeeper([sys.executable, "-c", FAKE, stdout, str(exit_code)], books, books / "backups")


def test_an_audit_leaves_its_record(keeper: BookKeeper, books: Path) -> None:
    audit = keeper.audit()
    assert audit == LastAudit(audit.time, True, [], audit.time) == read_last_audit(books)


def test_an_audit_says_what_is_wrong(keeper: BookKeeper, books: Path) -> None:
    forge(books / "catalog.db", "UPDATE products SET quantity = 3 WHERE name = 'Tux'")
    audit = keeper.audit()
    assert (audit.is_clean, audit.last_clean) == (False, None)
    assert any("Tux" in line for line in audit.discrepancies)


def test_an_audit_without_a_record_has_its_verdict(books: Path) -> None:
    found = {"promise": "I1", "where": "Tux", "what": "is wrong"}
    audit = faked(books, json.dumps({"clean": False, "discrepancies": [found]}), 1).audit()
    assert (audit.is_clean, audit.discrepancies) == (False, ["I1, Tux: is wrong"])
    assert faked(books, json.dumps({"clean": True, "discrepancies": []}), 0).audit().is_clean


def test_a_backup_has_its_time_as_its_name_and_is_listed(keeper: BookKeeper, books: Path) -> None:
    assert list(keeper.backups()) == []
    first, second = keeper.back_up("a"), keeper.back_up("b")
    assert list(keeper.backups()) == [second, first]
    assert first.name.startswith(first.time.replace(":", "-"))
    sizes = [(books / "backups" / first.name / name).stat().st_size for name in ("catalog.db", "order.db")]
    assert first.bytes == sum(sizes)


def test_a_backup_is_made_once_for_its_key(keeper: BookKeeper, books: Path) -> None:
    """Also by another worker, and after a restart: the key is in the name of the folder."""
    made = keeper.back_up("k")
    again = BookKeeper(["false"], books, books / "backups")
    assert again.back_up("k") == keeper.back_up("k") == made
    assert list(keeper.backups()) == [made]
    assert keeper.back_up("another") != made
    (books / "backups" / made.name).rename(books / "moved away")
    assert keeper.back_up("k") != made


def test_a_list_of_backups_has_those_by_hand_and_no_other_folder(keeper: BookKeeper, books: Path) -> None:
    made = keeper.back_up("k")
    (books / "backups" / made.name).rename(books / "backups" / "monday")
    for name in ("empty", ".monday-1234.unfinished"):
        (books / "backups" / name).mkdir()
    (books / "backups" / "file").touch()
    [listed] = keeper.backups()
    assert listed == Backup("monday", listed.time, made.bytes)
    assert listed.time.endswith("Z")


@pytest.mark.parametrize("name", ["catalog.db", "order.db"])
def test_without_both_files_in_its_folder_the_keeper_says_what_to_do(
    keeper: BookKeeper, books: Path, name: str
) -> None:
    (books / name).rename(books / "elsewhere.db")
    for work in (keeper.audit, lambda: keeper.back_up("k")):
        with pytest.raises(Unavailable, match=f"no {name} in its BOOKS_DIR.*docs/deployment.md"):
            work()


def test_links_to_both_files_are_enough(books: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    both.mkdir()
    for name in ("catalog.db", "order.db"):
        (both / name).symlink_to(books / name)
    keeper = BookKeeper(["env", f"DATA_DIR={both}", sys.executable, "-m", "admin"], both, tmp_path / "backups")
    audit = keeper.audit()
    assert audit.is_clean
    assert read_last_audit(books) == audit
    assert [keeper.back_up("k")] == keeper.backups()


@pytest.mark.parametrize(
    ("stdout", "exit_code", "why"),
    [
        ('{"error": "the disk is full"}', 2, "the disk is full"),
        ('{"clean": true}', 2, "admin audit has failed"),
        ("Traceback", 1, "admin audit cannot be run here"),
        ("", 0, "admin audit cannot be run here"),
    ],
)
def test_a_program_that_fails_is_unavailable_with_its_reason(
    books: Path, stdout: str, exit_code: int, why: str
) -> None:
    with pytest.raises(Unavailable, match=why):
        faked(books, stdout, exit_code).audit()


def test_a_program_that_is_not_there_is_unavailable(books: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be run here"):
        BookKeeper(["./not-there"], books, books / "backups").audit()


# Answers as the owner's program does on PostgreSQL, and writes both files of a copy.
FAKE_COPY = """
import json, pathlib, sys
if sys.argv[1] == "copy-out":
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True)
    [(folder / name).touch() for name in ("catalog.db", "order.db")]
print(json.dumps({"clean": False, "discrepancies": [{"promise": "I1", "where": "Tux", "what": "is wrong"}]}))
"""


def test_an_audit_on_postgres_is_what_it_has_recorded_there(tmp_path: Path) -> None:
    recorded = LastAudit("2026-11-28T18:00:00.000Z", True, [], "2026-11-28T18:00:00.000Z")
    records = iter([None, recorded, recorded, recorded])
    keeper = PostgresBookKeeper([sys.executable, "-c", FAKE_COPY], tmp_path / "backups", lambda: next(records))
    assert keeper.audit() == recorded
    unrecorded = keeper.audit()
    assert (unrecorded.is_clean, unrecorded.discrepancies) == (False, ["I1, Tux: is wrong"])
    assert unrecorded.last_clean == recorded.last_clean


def test_a_backup_on_postgres_is_a_copy(tmp_path: Path) -> None:
    keeper = PostgresBookKeeper([sys.executable, "-c", FAKE_COPY], tmp_path / "backups", lambda: None)
    backup = keeper.back_up("k")
    assert keeper.backups() == [backup]
    assert keeper.back_up("k") == backup
    assert sorted(path.name for path in (tmp_path / "backups" / backup.name).iterdir()) == ["catalog.db", "order.db"]


def test_an_order_tier_that_knows_one_database_says_so(tmp_path: Path) -> None:
    keeper = PostgresBookKeeper(["false"], tmp_path / "backups", lambda: None, lacks="CATALOG_DATABASE")
    for work in (keeper.audit, lambda: keeper.back_up("k")):
        with pytest.raises(
            Unavailable, match=r"^the order tier has no CATALOG_DATABASE, and this needs both databases"
        ):
            work()
    assert keeper.backups() == []
