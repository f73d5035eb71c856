"""Static files: names by content, a year in the cache, and gzip where the client takes it."""

import gzip
from pathlib import Path

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.test import EnvironBuilder

from wsgi_apps.base import Request
from wsgi_apps.pages.static import FOR_A_YEAR, StaticFiles

STYLE = "p { color: red }\n" * 100


@pytest.fixture
def files(tmp_path: Path) -> StaticFiles:
    (tmp_path / "shop.css").write_text(STYLE)
    (tmp_path / "dot.png").write_bytes(b"\x89PNG")
    return StaticFiles(tmp_path)


def request(**headers: str) -> Request:
    return Request(EnvironBuilder(headers=list(headers.items())).get_environ())


def test_another_content_gives_another_name(files: StaticFiles, tmp_path: Path) -> None:
    before = files.url("shop.css")
    (tmp_path / "shop.css").write_text("p { color: blue }")
    assert StaticFiles(tmp_path).url("shop.css") != before


def test_a_file_is_kept_for_a_year(files: StaticFiles) -> None:
    reply = files.reply(request(), files.url("shop.css").removeprefix("/static/"))
    assert reply.headers is not None
    assert (reply.body, reply.content_type) == (STYLE.encode(), "text/css; charset=utf-8")
    assert reply.headers["Cache-Control"] == FOR_A_YEAR


def test_a_file_is_compressed_for_a_client_that_takes_it(files: StaticFiles) -> None:
    name = files.url("shop.css").removeprefix("/static/")
    reply = files.reply(request(**{"Accept-Encoding": "br, gzip"}), name)
    assert reply.headers is not None and reply.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(reply.body) == STYLE.encode()


def test_a_file_that_compression_enlarges_is_sent_as_it_is(files: StaticFiles) -> None:
    name = files.url("dot.png").removeprefix("/static/")
    reply = files.reply(request(**{"Accept-Encoding": "gzip"}), name)
    assert (reply.body, reply.content_type) == (b"\x89PNG", "image/png")


def test_a_file_is_compressed_at_its_first_request_and_not_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed: list[bytes] = []

    def compress(content: bytes, *, mtime: int) -> bytes:
        compressed.append(content)
        return b"gz"

    monkeypatch.setattr(gzip, "compress", compress)
    (tmp_path / "large.js").write_text("// a library")
    files = StaticFiles(tmp_path)
    assert compressed == []
    for _ in range(2):
        reply = files.reply(request(**{"Accept-Encoding": "gzip"}), files.url("large.js").removeprefix("/static/"))
        assert reply.body == b"gz"
    assert compressed == [b"// a library"]


@pytest.mark.parametrize("name", ["shop.css", "nowhere.css", "../static.py", ""])
def test_only_names_with_the_digest_are_found(files: StaticFiles, name: str) -> None:
    with pytest.raises(NotFound):
        files.reply(request(), name)
