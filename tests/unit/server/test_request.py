"""Rules of RFC 9110 and RFC 9112 for heads: those that other parsers leave to the server, and those once broken."""

import pytest

from tests.unit.server.http.reading import WHALE, Read, read


def request(*lines: str, begin: str = "GET / HTTP/1.1") -> bytes:
    """Returns a request without a body: the request line `begin` and these headers."""
    return "\r\n".join([begin, *lines, "", ""]).encode("latin-1")


def read_one(*lines: str, begin: str = "GET / HTTP/1.1") -> Read:
    """Reads the request, which must be valid."""
    outcome = read(request(*lines, begin=begin))
    [one] = outcome.requests
    return one


def status_of(*lines: str, begin: str = "GET / HTTP/1.1") -> int | None:
    """Returns the status that refuses the request, or None when it is read."""
    outcome = read(request(*lines, begin=begin) + WHALE)
    assert outcome.refused is None or not outcome.requests
    return outcome.refused


@pytest.mark.parametrize(
    "lines",
    [
        ["Connection: close"],
        ["Connection: CLOSE"],
        ["Connection: TE, close"],
        ["Connection: close, TE"],
        ["Connection: TE,close"],
        ["Connection: ,,\tclose\t,"],
        ["Connection: keep-alive, close"],
        ["Connection: TE", "Connection: close"],
        ["Connection: close", "Connection: keep-alive"],
        ["connection: TE", "X: y", "CONNECTION: Close"],
    ],
    ids=repr,
)
@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_the_option_close_ends_the_connection_anywhere_in_its_headers(lines: list[str], version: str) -> None:
    assert not read_one("Host: a", *lines, begin=f"GET / HTTP/{version}").keep_alive


@pytest.mark.parametrize("value", ["", "TE", "closed", '"close"', "close;x", "close keep-alive", "x-close", "upgrade"])
def test_an_option_that_only_resembles_close_keeps_the_connection(value: str) -> None:
    assert read_one("Host: a", f"Connection: {value}").keep_alive
    assert read_one("Host: a", "X-Connection: close", "Proxy-Connection: close").keep_alive


@pytest.mark.parametrize("lines", [["TE, Keep-Alive"], ["TE", "keep-alive"], ["keep-alive"], ["keep-alive,"]], ids=repr)
def test_http_1_0_keeps_the_connection_only_with_keep_alive(lines: list[str]) -> None:
    connection = [f"Connection: {value}" for value in lines]
    assert read_one(*connection, begin="GET / HTTP/1.0").keep_alive
    assert not read_one(begin="GET / HTTP/1.0").keep_alive


@pytest.mark.parametrize(
    "host", ["", "a", "a:80", "a:", "[::1]", "[::1]:6060", "127.0.0.1", "A-b_c.example.", "%41", "x.y~"]
)
def test_a_host_is_a_name_or_an_address_with_an_optional_port(host: str) -> None:
    assert read_one(f"Host: {host}").headers["HOST"] == host


@pytest.mark.parametrize(
    "host",
    [
        "a b",
        "a, b",
        "a/b",
        "http://a",
        "u@a",
        "[::1",
        "::1",
        "[]",
        "a:b",
        "a:80:80",
        "a?b",
        "a#b",
        "a\\b",
        "<a>",
        '"a"',
        "é",
        "[g]",
    ],
)
def test_a_malformed_host_is_refused(host: str) -> None:
    assert status_of(f"Host: {host}") == 400
    assert status_of(f"Host: {host}", begin="GET / HTTP/1.0") == 400


def test_one_host_is_required_except_in_http_1_0() -> None:
    assert status_of() == 400
    assert status_of("Host_: a", "X-Host: a") == 400
    assert status_of(begin="GET / HTTP/1.2") == 400
    assert status_of(begin="GET / HTTP/1.0") is None
    for second in ("Host: a", "host: b", "HOST:"):
        assert status_of("Host: a", second) == 400
        assert status_of("Host: a", second, begin="GET / HTTP/1.0") == 400


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://b/products/Tux", "/products/Tux", ""),
        ("HTTP://b:80?q=1", "/", "q=1"),
        ("https://[::1]:80", "/", ""),
    ],
)
def test_an_absolute_target_gives_its_path_and_its_query(target: str, path: str, query: str) -> None:
    """The authority is ignored. A valid Host is required beside it, and wsgi_apps/origin.py judges that one."""
    one = read_one("Host: a", begin=f"GET {target} HTTP/1.1")
    assert (one.headers["HOST"], one.path, one.query) == ("a", path, query)
    assert status_of(begin=f"GET {target} HTTP/1.1") == 400
    assert status_of("Host: a b", begin=f"GET {target} HTTP/1.1") == 400
    assert "HOST" not in read_one(begin=f"GET {target} HTTP/1.0").headers


@pytest.mark.parametrize(
    "target",
    [
        "http://",
        "http:///a",
        "http://:80/a",
        "http://?a",
        "http://u@b/",
        "http://[::1/",
        "http://b b/",
        "ftp://b/",
        "http:b",
    ],
)
def test_an_absolute_target_with_a_malformed_host_is_refused(target: str) -> None:
    assert status_of("Host: a", begin=f"GET {target} HTTP/1.1") == 400


@pytest.mark.parametrize("target", ["a:80", "/", "http://a/", "*"])
def test_connect_is_refused(target: str) -> None:
    assert status_of("Host: a", begin=f"CONNECT {target} HTTP/1.1") == 400


@pytest.mark.parametrize("minor", range(2, 10))
def test_a_higher_minor_version_is_read_as_http_1_1(minor: int) -> None:
    """RFC 9110, 2.5: a server answers with the highest minor version that it knows."""
    one = read_one("Host: a", "Content-Length: 0", begin=f"GET / HTTP/1.{minor}")
    assert one.keep_alive
    assert status_of("Host: a", "Transfer-Encoding: chunked", begin=f"GET / HTTP/1.{minor}") == 411
    assert status_of("Host: a", "Expect: foo", begin=f"GET / HTTP/1.{minor}") == 417


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Transfer-Encoding: chunked"], 411),
        (["transfer-encoding: CHUNKED"], 411),
        (["Transfer-Encoding: chunked", "Content-Length: 0"], 400),
        (["Content-Length: 0", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: gzip, chunked"], 411),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], 400),
        (["Content-Length: 1", "Content-Length: 1"], 400),
        (["Content-Length: 1, 1"], 400),
        (["Content-Length: " + "0" * 18], None),
        (["Content-Length: " + "0" * 19], 400),
        (["Content-Length: 65537"], 413),
        (["Content-Length: " + "9" * 18], 413),
        (["Content-Type: a", "Content-Type: a"], 400),
        (["Expect: 100-Continue"], None),
        (["Expect: 100-continue, 100-continue"], 417),
        (["Expect: 100-continue", "Expect: 100-continue"], 400),
        (["Expect: foo"], 417),
    ],
    ids=repr,
)
def test_headers_that_frame_the_body_are_accepted_or_refused(lines: list[str], status: int | None) -> None:
    assert status_of("Host: a", *lines) == status


def test_http_1_0_has_neither_codings_nor_expectations() -> None:
    assert status_of("Transfer-Encoding: chunked", begin="POST / HTTP/1.0") == 400
    assert status_of("Expect: foo", begin="POST / HTTP/1.0") is None


def test_the_limits_are_exact() -> None:
    target = "/" + "x" * (4_094 - len("GET / HTTP/1.1"))
    assert status_of("Host: a", begin=f"GET {target} HTTP/1.1") is None
    assert status_of("Host: a", begin=f"GET {target}x HTTP/1.1") == 414
    value = "x" * (8_190 - len("X: \r\n"))
    assert status_of("Host: a", f"X: {value}") is None
    assert status_of("Host: a", f"X: {value}x") == 431
    assert status_of("Host: a", *["X: y"] * 63) is None
    assert status_of("Host: a", *["X: y"] * 64) == 431
    size = len(request("Host: a", *[f"X: {value}"] * 3, "Y: "))
    rest = "x" * (32 * 1024 - size)
    assert status_of("Host: a", *[f"X: {value}"] * 3, f"Y: {rest}") is None
    assert status_of("Host: a", *[f"X: {value}"] * 3, f"Y: {rest}x") == 431
    for endless in (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 6_000, b"G" * 40_000, b"GET /" + b"x" * 40_000):
        assert read(endless).refused in (414, 431), "it must be refused before its end"


def test_a_header_with_an_underscore_is_not_taken_for_one_with_a_hyphen() -> None:
    one = read_one("Host: a", "Content_Length: 5", "X_A: 1", "X-A: 2", "Transfer_Encoding: chunked")
    assert one.headers == {"HOST": "a", "X_A": "2"}


def test_repeated_headers_are_joined_in_their_order() -> None:
    one = read_one("Host: a", "Accept: b", "X: y", "accept: a", "Cookie: a=1", "Cookie: b=2")
    assert (one.headers["ACCEPT"], one.headers["COOKIE"]) == ("b,a", "a=1; b=2")
