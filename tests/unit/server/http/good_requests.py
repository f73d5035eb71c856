"""Valid requests: those of browsers, curl, benchmarks, proxies and our own tiers, and others that RFC 9112 allows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Good:
    """A valid request, and the values that the server must read from it."""

    name: str
    request: bytes
    target: str
    body: bytes = b""
    keep_alive: bool = True


def _get(*lines: bytes, target: bytes = b"/products/Bird", version: bytes = b"1.1") -> bytes:
    """Returns a GET with these header lines."""
    return b"\r\n".join([b"GET " + target + b" HTTP/" + version, *lines, b"", b""])


BIRD = "/products/Bird"
BROWSER = _get(
    b"Host: shop.example:6060",
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    b"Accept-Language: en-GB,en;q=0.5",
    b"Accept-Encoding: gzip, deflate, br, zstd",
    b"Connection: keep-alive",
    b"Cookie: a=1; b=2",
    b"Upgrade-Insecure-Requests: 1",
    b"Sec-Fetch-Dest: document",
    b"Sec-Fetch-Mode: navigate",
    b"Sec-Fetch-Site: none",
    b"Priority: u=0, i",
)
BODY = b'{"sales": []}\r\n\r\nGET / HTTP/1.1\r\n'  # it contains the end of a head and the beginning of a request
GOOD = [
    Good("no header but Host", _get(b"Host: a"), BIRD),
    Good("a browser", BROWSER, BIRD),
    Good("wrk", _get(b"Host: 127.0.0.1:6060", b"Accept: */*", b"User-Agent: wrk"), BIRD),
    Good("an empty Host", _get(b"Host:"), BIRD),
    Good("a Host in brackets", _get(b"Host: [::1]:6060"), BIRD),
    Good("HTTP/1.0", _get(version=b"1.0"), BIRD, keep_alive=False),
    Good("HTTP/1.0 with keep-alive", _get(b"Connection: Keep-Alive", version=b"1.0"), BIRD),
    Good("HTTP/1.2", _get(b"Host: a", version=b"1.2"), BIRD),
    Good("a Connection with close", _get(b"Host: a", b"Connection: close"), BIRD, keep_alive=False),
    Good("close in a list of options", _get(b"Host: a", b"Connection: TE, close"), BIRD, keep_alive=False),
    Good("close in a second Connection", _get(b"Host: a", b"Connection: TE", b"Connection: close"), BIRD, b"", False),
    Good("no blank after a colon", _get(b"Host:a", b"Accept:*/*"), BIRD),
    Good("blanks and tabs around a value", _get(b"Host: \t a \t", b"Accept: \t"), BIRD),
    Good("a value in Latin-1", _get(b"Host: a", b"X-Name: caf\xe9"), BIRD),
    Good("an absolute target", _get(b"Host: a", target=b"http://a/products/Bird"), "http://a/products/Bird"),
    Good("a query", _get(b"Host: a", target=b"/products?q=%C3%BC&limit=1"), "/products?q=%C3%BC&limit=1"),
    Good("OPTIONS of everything", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*"),
    Good("a buy", b"POST /Bird/1 HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n", "/Bird/1"),
    Good("a body", b"POST /sales HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY, "/sales", BODY),
    Good(
        "a body after Expect",
        b"POST /sales HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n\r\n\r\n",
        "/sales",
        b"\r\n\r\n",
    ),
    Good("a head of 64 headers", _get(b"Host: a", *[b"X-%d: a" % number for number in range(63)]), BIRD),
]
