"""The model of a disk keeps synced bytes after a power loss, and may lose any unsynced sector or name."""

from random import Random

import pytest

from tests.faults.power.power_loss import SECTOR_BYTES, Disk
from tests.faults.power.trace import Created, Deleted, Event, FolderSynced, Synced, Truncated, Written

NEW: list[Event] = [Created("a", 1), FolderSynced(upto=1)]


def images(trace: list[Event], survival: float = 0.5) -> set[tuple[tuple[str, bytes], ...]]:
    """Returns the distinct images of 200 random power losses at the end of this trace."""
    disk = Disk(rng=Random(1))
    disk.replay(trace, len(trace))
    rng = Random(1)
    return {tuple(sorted(disk.after_power_loss(rng, survival).items())) for _ in range(200)}


def contents(trace: list[Event]) -> set[bytes]:
    """Returns the distinct contents of the file `a`, which must be the only file of each image."""
    return {content for [(_, content)] in images(trace)}


def test_synced_bytes_stay() -> None:
    assert contents([*NEW, Written(1, 0, b"one"), Synced(1, upto=3)]) == {b"one"}


def test_unsynced_bytes_may_be_lost() -> None:
    assert contents([*NEW, Written(1, 0, b"one"), Written(1, 3, b"two")]) == {b"", b"one", b"\0\0\0two", b"onetwo"}


def test_a_sync_covers_writes_from_before_it_began() -> None:
    assert contents([*NEW, Written(1, 0, b"1"), Written(1, 1, b"2"), Synced(1, upto=3)]) == {b"1", b"12"}


def test_a_sync_covers_one_file() -> None:
    both = [*NEW, Created("b", 2), FolderSynced(upto=3), Written(1, 0, b"1"), Written(2, 0, b"2"), Synced(1, upto=6)]
    assert images(both) == {(("a", b"1"), ("b", b"")), (("a", b"1"), ("b", b"2"))}


def test_a_write_may_be_torn_between_sectors_but_not_within_one() -> None:
    before, after = b"-" * 2 * SECTOR_BYTES, b"+" * 2 * SECTOR_BYTES
    torn = contents([*NEW, Written(1, 0, before), Synced(1, upto=3), Written(1, 0, after)])
    assert torn == {a[:SECTOR_BYTES] + b[SECTOR_BYTES:] for a in (before, after) for b in (before, after)}


def test_a_truncation_may_be_lost() -> None:
    assert contents([*NEW, Written(1, 0, b"one"), Synced(1, upto=3), Truncated(1, 1)]) == {b"one", b"o"}


def test_a_synced_file_without_its_name_in_a_synced_folder_may_be_lost() -> None:
    assert images([Created("a", 1), Written(1, 0, b"1"), Synced(1, upto=2)]) == {(), (("a", b"1"),)}


def test_a_deleted_file_may_come_back_and_its_successor_may_be_lost() -> None:
    renewed = [*NEW, Written(1, 0, b"old"), Synced(1, upto=3), Deleted("a"), Created("a", 2), Written(2, 0, b"new")]
    assert images([*renewed, Synced(2, upto=7)]) == {(), (("a", b"old"),), (("a", b"new"),)}


@pytest.mark.parametrize(("survival", "left"), [(0.0, {()}), (1.0, {(("a", b"1"),)})])
def test_a_survival_of_0_loses_everything_and_of_1_nothing(
    survival: float, left: set[tuple[tuple[str, bytes], ...]]
) -> None:
    assert images([Created("a", 1), Written(1, 0, b"1")], survival) == left
