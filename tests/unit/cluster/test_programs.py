"""The programs of a cluster: what is missing is named, with the package that has it."""

import os
import shutil
from pathlib import Path

import pytest

from cluster import programs


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any program."""
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    monkeypatch.setattr(programs, "_DEBIAN_POSTGRES", Path("/nowhere"))


@pytest.mark.usefixtures("no_programs")
def test_each_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(programs.Missing) as missing:
        programs.find(tmp_path, tmp_path / "cluster.txt")
    lines = str(missing.value).splitlines()
    assert lines[0] == "etcd is missing; on Debian: apt-get install etcd-server"
    assert lines[1] == "haproxy is missing; on Debian: apt-get install haproxy"
    assert any(line.startswith("PostgreSQL is missing; on Debian: apt-get install postgresql;") for line in lines)
    assert any(line.startswith("Patroni is missing; ") and "requirements/cluster.txt" in line for line in lines)


def test_the_newest_postgresql_of_debian_is_taken_where_no_other_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("9", "15", "17"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        for name in programs._POSTGRES if version != "17" else ("psql",):  # 17 has the client alone
            (folder / name).touch()
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    monkeypatch.setattr(programs, "_DEBIAN_POSTGRES", tmp_path)
    assert programs._postgres() == tmp_path / "15" / "bin"


def test_a_server_ends_with_its_parent_and_runs_as_another_user_for_root() -> None:
    assert programs.as_user("setpriv", None, ["etcd"]) == ["setpriv", "--pdeathsig=TERM", "--", "etcd"]
    command = programs.as_user("setpriv", "nobody", ["etcd"])
    assert {"--reuid=nobody", "--clear-groups", "--pdeathsig=TERM"} <= set(command)
    assert command[-2:] == ["--", "etcd"]


def test_root_may_not_run_the_servers_itself() -> None:
    assert programs._other_user() in ("postgres", "nobody")
    assert os.getuid() == 0 or programs._other_user() != "root"
