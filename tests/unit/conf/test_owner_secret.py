"""The secret of the owner that `make run` makes, and the links that log in by it."""

import stat
from pathlib import Path

import pytest

from conf.owner_secret import FILE_NAME, login_link, main, make_secret_file, secret_file, with_owner
from conf.secret import Secrets
from conf.settings import Settings, load
from conf.variables import SettingsError
from tests.support.at_once import at_once
from wsgi_apps.login_links import LoginLinks

SECRET = "secret--" * 4


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"DATA_DIR": str(tmp_path / "deep" / "data")})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "data" / FILE_NAME


def test_a_secret_is_made_that_only_its_owner_may_read(settings: Settings, file: Path) -> None:
    assert make_secret_file(secret_file(settings)) is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700, "as a tier makes the folder of its database"
    owner = with_owner(settings).owner_secrets
    assert owner is not None and len(owner.values) == 1
    assert file.read_text() == f"{owner.values[0]}\n"
    assert [path.name for path in file.parent.iterdir()] == [FILE_NAME], "no unfinished file is left"


def test_two_stores_have_two_secrets(tmp_path: Path) -> None:
    texts = set()
    for name in ("one", "other"):
        make_secret_file(tmp_path / name / FILE_NAME)
        texts.add((tmp_path / name / FILE_NAME).read_text())
    assert len(texts) == 2


@pytest.mark.parametrize("text", [SECRET, "", "short"])
def test_a_secret_that_is_there_is_never_overwritten(settings: Settings, file: Path, text: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.chmod(0o600)
    assert make_secret_file(secret_file(settings)) is None
    assert file.read_text() == text
    if text == SECRET:
        assert with_owner(settings).owner_secrets == Secrets((SECRET,))
    else:
        with pytest.raises(SettingsError, match=r"^OWNER_SECRET_FILE "):
            with_owner(settings)


def test_runs_at_the_same_moment_make_one_secret(settings: Settings) -> None:
    def make(_turn: int) -> Secrets | None:
        make_secret_file(secret_file(settings))
        return with_owner(settings).owner_secrets

    [first, *others] = at_once(make)
    assert first is not None and others == [first] * len(others)


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_may_read_is_said(settings: Settings, file: Path, mode: int, is_open: bool) -> None:
    make_secret_file(secret_file(settings))
    file.chmod(mode)
    warning = make_secret_file(secret_file(settings))
    assert (warning is not None) == is_open
    assert warning is None or warning.startswith(f"{file} may be read by other users of this machine")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("my diary")
    with pytest.raises(OSError):
        make_secret_file(tmp_path / "data" / FILE_NAME)
    assert (tmp_path / "data").read_text() == "my diary"


def test_the_program_makes_a_file_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "owner" / "secret"
    main([str(path)])
    text = path.read_text()
    path.chmod(0o644)
    main([str(path)])
    assert path.read_text() == text and len(text) > 40
    assert capsys.readouterr().err == (
        f"toy store: {path} may be read by other users of this machine, and whoever has it is the owner: chmod 600 it\n"
    )


@pytest.mark.parametrize("arguments", [[], ["one", "two"], ["/proc/nowhere/secret"]])
def test_the_program_says_why_it_cannot_make_a_file(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_secret_that_is_set_is_taken(settings: Settings) -> None:
    make_secret_file(secret_file(settings))
    ours = load({"DATA_DIR": str(settings.data_dir), "OWNER_SECRET": SECRET})
    assert with_owner(ours) == ours


def test_without_any_secret_the_error_says_who_makes_one(settings: Settings, file: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        with_owner(settings)
    assert str(caught.value) == f"OWNER_SECRET is not set, and there is no {file}, which `make run` would make"


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ({}, "http://127.0.0.1:6061"),
        ({"BACK_OFFICE_BIND": "0.0.0.0:7"}, "http://127.0.0.1:7"),
        ({"BACK_OFFICE_BIND": "0.0.0.0", "BACK_OFFICE": "https://desk.example"}, "https://desk.example"),
    ],
)
def test_a_link_is_signed_with_the_first_secret(address: dict[str, str], url: str) -> None:
    links = LoginLinks([SECRET])
    link = login_link(load({"OWNER_SECRET": f"{SECRET},{'old-----' * 4}", **address}))
    assert link.startswith(f"{url}/login?token=")
    assert SECRET not in link and links.redeem(link.partition("token=")[2])
