"""The owner's pictures: which file is shown, that none outside of the folder is, and that none runs as a script."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.test import EnvironBuilder

from domain.errors import Unavailable
from tests.support.clock import Clock
from wsgi_apps.base import Request
from wsgi_apps.pages.shop.pictures import LIST_INTERVAL_S, MAX_PICTURE_BYTES, Pictures
from wsgi_apps.reply import Reply


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for pictures."""
    path = tmp_path / "pictures"
    path.mkdir()
    return path


def at_once(call: Callable[[], None]) -> None:
    """Runs the call in this thread."""
    call()


def of(folder: Path | None) -> Pictures:
    return Pictures(folder, run_later=at_once)


def ask(subject: Pictures, name: str, etag: str | None = None) -> Reply:
    environ = EnvironBuilder().get_environ() | ({} if etag is None else {"HTTP_IF_NONE_MATCH": etag})
    return subject.reply(Request(environ), name)


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        ("Tux.webp", "image/webp"),
        ("Tux.png", "image/png"),
        ("Tux.jpg", "image/jpeg"),
        ("Tux.SVG", "image/svg+xml"),
    ],
)
def test_a_picture_is_shown_with_its_type(folder: Path, file: str, content_type: str) -> None:
    (folder / file).write_bytes(b"a picture")
    subject = of(folder)
    assert subject.url("Tux") == f"/pictures/{file}"
    reply = ask(subject, file)
    assert (reply.status, reply.body, reply.content_type) == (200, b"a picture", content_type)


def test_a_webp_is_chosen_before_a_png_and_an_svg_last(folder: Path) -> None:
    for extension in ("svg", "jpg", "png", "webp"):
        (folder / f"Tux.{extension}").touch()
    assert of(folder).url("Tux") == "/pictures/Tux.webp"


def test_a_picture_runs_no_script(folder: Path) -> None:
    (folder / "Tux.svg").write_text("<svg><script>alert(1)</script></svg>")
    headers = ask(of(folder), "Tux.svg").headers
    assert headers is not None
    assert headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def test_without_a_folder_no_product_has_a_picture() -> None:
    subject = of(None)
    assert subject.url("Tux") is None
    with pytest.raises(NotFound):
        ask(subject, "Tux.png")


@pytest.mark.parametrize(
    "name", ["../secret.png", "..", ".", "", "/etc/passwd", "secret.png", "\0.png", "Tux.html", "Tux", "a" * 5_000]
)
def test_no_file_outside_of_the_folder_is_shown(folder: Path, name: str) -> None:
    (folder.parent / "secret.png").write_bytes(b"secret")
    (folder / "Tux.html").touch()
    with pytest.raises(NotFound):
        ask(of(folder), name)


def test_no_link_is_followed(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (folder / "Link.png").symlink_to(secret)
    subject = of(folder)
    assert subject.url("Link") is None
    with pytest.raises(NotFound):
        ask(subject, "Link.png")


def test_a_file_that_became_a_link_or_a_pipe_is_not_shown(folder: Path, tmp_path: Path) -> None:
    """The folder was listed while both were pictures."""
    for name in ("Link.png", "Pipe.png"):
        (folder / name).touch()
    subject = of(folder)
    for name in ("Link.png", "Pipe.png"):
        (folder / name).unlink()
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "Link.png").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "Pipe.png")
    for name in ("Link.png", "Pipe.png"):
        with pytest.raises(NotFound):
            ask(subject, name)


def test_a_picture_that_is_too_large_is_not_shown(folder: Path) -> None:
    for name, size in (("Fits.png", MAX_PICTURE_BYTES), ("Large.png", MAX_PICTURE_BYTES + 1)):
        with (folder / name).open("wb") as file:
            file.truncate(size)
    subject = of(folder)
    assert subject.url("Fits") is not None
    assert subject.url("Large") is None


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_is_found_however_its_file_is_written(folder: Path, form: Literal["NFC", "NFD"]) -> None:
    """macOS writes names in NFD. Products, and requests, have names in NFC."""
    (folder / unicodedata.normalize(form, "Bär.png")).write_bytes(b"a bear")
    subject = of(folder)
    assert subject.url("Bär") == "/pictures/B%C3%A4r.png"
    for asked in (unicodedata.normalize("NFC", "Bär.png"), unicodedata.normalize("NFD", "Bär.png")):
        assert ask(subject, asked).body == b"a bear"


@pytest.mark.parametrize("name", [b"\xff.png", b"a\nb.png", b".png", b"x" * 65 + b".png"])
def test_a_file_whose_name_no_product_can_have_is_passed_over(folder: Path, name: bytes) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).touch()
    (folder / "Tux.png").touch()
    assert of(folder).url("Tux") == "/pictures/Tux.png"


def test_a_picture_that_the_browser_has_is_not_sent_again(folder: Path) -> None:
    (folder / "Tux.png").write_bytes(b"first")
    subject = of(folder)
    headers = ask(subject, "Tux.png").headers
    assert headers is not None
    again = ask(subject, "Tux.png", headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    (folder / "Tux.png").write_bytes(b"another")
    assert ask(subject, "Tux.png", headers["ETag"]).body == b"another"


def test_a_new_picture_is_seen_after_a_while(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("wsgi_apps.pages.shop.pictures.time.monotonic", clock)
    subject = of(folder)
    subject.url("Tux")
    (folder / "Tux.png").touch()
    clock.now += LIST_INTERVAL_S
    subject.url("Tux")  # starts to list the folder
    assert subject.url("Tux") == "/pictures/Tux.png"
    (folder / "Tux.png").unlink()
    clock.now += LIST_INTERVAL_S
    subject.url("Tux")
    assert subject.url("Tux") is None


def test_a_page_does_not_wait_for_the_folder(folder: Path) -> None:
    waiting: list[Callable[[], None]] = []
    subject = Pictures(folder, run_later=waiting.append)
    (folder / "Tux.png").touch()
    assert subject.url("Tux") is None
    [list_folder] = waiting
    list_folder()
    assert subject.url("Tux") == "/pictures/Tux.png"


def test_a_queue_that_is_full_fails_no_page(folder: Path) -> None:
    def refuse(_call: Callable[[], None]) -> None:
        raise Unavailable

    assert Pictures(folder, run_later=refuse).url("Tux") is None


def test_a_folder_that_is_lost_is_logged_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.rmdir()
    subject = of(folder)
    subject._list()
    why = f"products have emblems: {folder}: No such file or directory"
    assert [record.getMessage() for record in caplog.records] == [f"the pictures (PICTURES) cannot be read, so {why}"]
    folder.mkdir()
    (folder / "Tux.png").touch()
    subject._list()
    assert subject.url("Tux") == "/pictures/Tux.png"
