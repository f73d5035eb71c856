"""Responses as bytes: the headers that the server adds, lengths, HEAD, and mistakes of an app."""

import re
from typing import Any

import pytest

from server.response import Response, encode_error

JSON = ("Content-Type", "application/json")


def encode(
    status: str, headers: list[tuple[str, str]], *parts: bytes, omit_body: bool = False, keep_alive: bool = True
) -> tuple[str, dict[str, str], bytes]:
    """Encodes a response and reads it as a client does: first line, headers by lower-case name, body."""
    response = Response()
    response.start(status, headers)
    return read(response.encode(parts, omit_body=omit_body, keep_alive=keep_alive))


def read(response: bytes) -> tuple[str, dict[str, str], bytes]:
    """Returns the first line, the headers by lower-case name, and the body. No header may be repeated."""
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = [line.split(": ", 1) for line in lines]
    headers = {name.lower(): value for name, value in fields}
    assert len(headers) == len(fields), "a header is repeated"
    return first, headers, body


def test_the_server_adds_date_content_length_and_connection() -> None:
    first, headers, body = encode("200 OK", [JSON], b"ab", b"", b"c")
    assert (first, body) == ("HTTP/1.1 200 OK", b"abc")
    assert headers.pop("date").endswith(" GMT")
    assert headers == {
        "content-type": "application/json",
        "content-length": "3",
        "server": "gunicorn",
        "connection": "keep-alive",
        "x-content-type-options": "nosniff",
    }
    assert encode("200 OK", [], keep_alive=False)[1]["connection"] == "close"


def test_a_content_length_from_the_app_is_not_repeated() -> None:
    assert encode("200 OK", [("content-length", "2")], b"ab")[1]["content-length"] == "2"


@pytest.mark.parametrize("length", ["1", "3", "0", "", "+2", "2, 2"])
def test_a_content_length_that_differs_from_the_body_is_an_error(length: str) -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        encode("200 OK", [("Content-Length", length)], b"ab")


def test_the_response_to_head_has_the_content_length_of_the_omitted_body() -> None:
    _, headers, body = encode("200 OK", [("Content-Length", "2")], omit_body=True)
    assert (headers["content-length"], body) == ("2", b"")
    _, headers, body = encode("200 OK", [], b"ab", omit_body=True)
    assert (headers["content-length"], body) == ("2", b"")
    assert "content-length" not in encode("200 OK", [], omit_body=True)[1], "the length is unknown"


@pytest.mark.parametrize("status", ["204 NO CONTENT", "304 NOT MODIFIED"])
def test_a_204_and_a_304_have_neither_body_nor_content_length(status: str) -> None:
    _, headers, body = encode(status, [])
    assert (body, "content-length" in headers) == (b"", False)


def test_the_body_of_a_204_is_dropped_and_its_content_length_with_it() -> None:
    """RFC 9110, 8.6: a server must not send a Content-Length then."""
    _, headers, body = encode("204 NO CONTENT", [], b"x")
    assert (body, "content-length" in headers) == (b"", False)


@pytest.mark.parametrize("header", [("X", "a\r\nY: b"), ("X", "a\nb"), ("X", "a\rb"), ("X", "a\0"), ("X\r\nY", "b")])
def test_a_line_end_or_nul_in_a_header_is_an_error(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="line end"):
        encode("200 OK", [header])
    with pytest.raises(ValueError, match="line end"):
        encode("200 OK\r\nX: y", [])


def test_a_header_beyond_latin_1_is_an_error() -> None:
    with pytest.raises(ValueError, match="latin-1"):
        encode("200 OK", [("X", "→")])


@pytest.mark.parametrize("name", ["Connection", "Transfer-Encoding", "Date", "SERVER", "Keep-Alive", "Upgrade"])
def test_an_app_cannot_set_headers_about_the_connection(name: str) -> None:
    _, headers, _ = encode("200 OK", [(name, "of the app")])
    assert "of the app" not in headers.values()


def test_an_app_must_call_start_response_exactly_once() -> None:
    with pytest.raises(ValueError, match="start_response"):
        Response().encode([b"x"], omit_body=False, keep_alive=True)
    response = Response()
    response.start("200 OK", [])
    with pytest.raises(AssertionError):
        response.start("200 OK", [])


def test_an_app_that_fails_may_start_another_response() -> None:
    response = Response()
    response.start("200 OK", [("X", "y")])
    failure: Any = (ValueError, ValueError(), None)
    response.start("500 OH", [], failure)
    first, headers, _ = read(response.encode([], omit_body=False, keep_alive=True))
    assert (first, "x" in headers) == ("HTTP/1.1 500 OH", False)


def test_parts_passed_to_write_come_before_the_returned_parts() -> None:
    response = Response()
    write = response.start("200 OK", [])
    write(b"a")
    write(b"b")
    assert read(response.encode([b"c"], omit_body=False, keep_alive=True))[2] == b"abc"
    assert response.sent == 3


def test_an_error_of_the_server_has_the_headers_of_every_response() -> None:
    first, headers, body = read(encode_error(431, "too long"))
    assert first == "HTTP/1.1 431 REQUEST HEADER FIELDS TOO LARGE"
    assert body == b'{"error": {"code": 431, "message": "too long"}}\n'
    assert headers["content-length"] == str(len(body))
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", headers["date"])
    assert {name: headers[name] for name in ("connection", "cache-control", "x-content-type-options")} == {
        "connection": "close",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    first, headers, body = read(encode_error(431, "too long", omit_body=True))
    assert (headers["content-length"], body) == ("48", b"")
