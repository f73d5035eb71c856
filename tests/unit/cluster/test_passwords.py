"""The passwords of a cluster: made once, each in a private file."""

import stat
from pathlib import Path

import pytest

from cluster.passwords import Passwords, write_once


def test_passwords_are_made_once_and_differ(tmp_path: Path) -> None:
    made = Passwords.made_once(tmp_path / "secrets")
    values = [getattr(made, name) for name in Passwords.names()]
    assert len(set(values)) == 5 and all(len(value) >= 32 for value in values)
    assert Passwords.made_once(tmp_path / "secrets") == made == Passwords.read(tmp_path / "secrets")


def test_only_their_owner_reads_them(tmp_path: Path) -> None:
    Passwords.made_once(tmp_path / "secrets")
    folder, *files = [tmp_path / "secrets", *(tmp_path / "secrets").iterdir()]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(file.name for file in files) == sorted(Passwords.names())
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_an_empty_file_is_no_password(tmp_path: Path) -> None:
    Passwords.made_once(tmp_path)
    (tmp_path / "store").write_text("\n")
    with pytest.raises(ValueError, match="store is empty"):
        Passwords.read(tmp_path)


def test_a_secret_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    write_once(tmp_path / "a" / "secret", "first")
    write_once(tmp_path / "a" / "secret", "second")
    assert (tmp_path / "a" / "secret").read_text() == "first\n"
