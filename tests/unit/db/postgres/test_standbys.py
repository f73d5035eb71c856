"""Tests of what the log says of synchronous standbys."""

from pathlib import Path

import pytest

from db.postgres.database import Database
from db.postgres.migrate import migrate
from db.postgres.standbys import Standbys, explain_standbys
from tests.support.postgres import TestServer


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            ("", 0, 0, 0),
            "no synchronous standby is configured: an answered buy can be lost with the disk of this server",
        ),
        (
            ("", 2, 2, 0),
            "no synchronous standby is configured: an answered buy can be lost with the disk of this server",
        ),
        (("ANY 1 (a,b)", 0, 0, 0), "no synchronous standby is connected (ANY 1 (a,b)): each buy waits for one"),
        (("ANY 1 (a,b)", 1, 1, 0), "no synchronous standby is connected (ANY 1 (a,b)): each buy waits for one"),
        (
            ("a", 1, 0, 0),
            "each buy waits for a standby (a); GRANT pg_monitor to this role, so that it sees their state",
        ),
        (("a", 2, 2, 1), "each buy waits for a standby (a), and 1 synchronous ones are connected"),
    ],
)
def test_each_state_is_explained(row: tuple[object, ...], said: str) -> None:
    assert explain_standbys([row]) == said


def test_a_start_tells_whether_buys_wait_for_a_standby(
    postgres_address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        migrate(postgres_address, "catalog", tmp_path)
    assert "no synchronous standby is configured" in caplog.messages[-1]


def test_a_server_without_standbys_is_told_at_the_start_only(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        database.require_writable()
    assert caplog.messages == []


def test_it_is_told_when_the_server_no_longer_waits_and_when_it_does_again(caplog: pytest.LogCaptureFixture) -> None:
    standbys = Standbys("here")
    for _ in range(2):
        standbys.note([("ANY 1 (a,b)", 2, 2, 2)])
    assert caplog.messages == []
    for _ in range(2):
        standbys.note([("", 0, 0, 0)])
    said = "here: no longer waits for a standby, so an answered buy can be lost with the disk of this server"
    assert caplog.messages == [said]
    standbys.note([("ANY 1 (a,b)", 1, 1, 1)])
    assert caplog.messages == [said, "here: each buy waits for a standby again"]


def test_the_check_that_the_store_can_be_written_looks_at_the_standbys(
    hasty: Database, postgres_server: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    hasty._standbys.note([("a", 1, 1, 1)])
    hasty.require_writable()
    assert "no longer waits for a standby" in caplog.messages[0]
