"""The corpus of hostile requests: malformed, ambiguous, oversized, or readable in two ways.

Each is sent to all three tiers, and no tier may sell anything: a new one must be a valid buy at none of them.
"""

import json
from dataclasses import dataclass

HOST = b"Host: a"
CHUNKED = b"Transfer-Encoding: chunked"
LAST_CHUNK = b"0\r\n\r\n"
LONG = b"x" * 100_000
# A buy that follows a hostile request on its connection: no tier may read it as a request of its own.
SMUGGLED = b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nIdempotency-Key: smuggled\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A hostile request, and the statuses that a tier may answer. None: it may close without a response."""

    name: str
    request: bytes
    statuses: tuple[int | None, ...]


def head(*lines: bytes, path: bytes = b"/Tux/1", method: bytes = b"POST") -> bytes:
    """Returns the head of a request, by default of a buy."""
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", *lines, b"", b""])


def body(path: bytes, content: bytes) -> bytes:
    """Returns a POST with a body."""
    return head(HOST, b"Content-Length: %d" % len(content), path=path) + content


def get(path: bytes) -> bytes:
    """Returns a GET without headers but Host."""
    return head(HOST, path=path, method=b"GET")


# Body framing: Content-Length and Transfer-Encoding.
FRAMING = [
    Hostile("a length and chunks", head(HOST, b"Content-Length: 5", CHUNKED) + LAST_CHUNK + SMUGGLED, (400,)),
    Hostile("chunks and a length", head(HOST, CHUNKED, b"Content-Length: 5") + LAST_CHUNK + SMUGGLED, (400,)),
    Hostile("two lengths that agree", head(HOST, b"Content-Length: 3", b"Content-Length: 3") + b"abc", (400,)),
    Hostile("two lengths that differ", head(HOST, b"Content-Length: 0", b"Content-Length: 99") + SMUGGLED, (400,)),
    Hostile("a list of lengths", head(HOST, b"Content-Length: 3, 3") + b"abc", (400,)),
    Hostile("a negative length", head(HOST, b"Content-Length: -1"), (400,)),
    Hostile("a length with a sign", head(HOST, b"Content-Length: +3") + b"abc", (400,)),
    Hostile("a length in hexadecimal", head(HOST, b"Content-Length: 0x3") + b"abc", (400,)),
    Hostile("a length with an underscore", head(HOST, b"Content-Length: 1_0") + b"x" * 10, (400,)),
    Hostile("a length with a fraction", head(HOST, b"Content-Length: 3.0") + b"abc", (400,)),
    Hostile("a length in Latin-1 digits", head(HOST, b"Content-Length: \xb3") + b"abc", (400,)),
    Hostile("an empty length", head(HOST, b"Content-Length:"), (400,)),
    Hostile("a length with 5,000 digits", head(HOST, b"Content-Length: " + b"9" * 5_000), (400, 413)),
    Hostile("a length of more than 64 bits", head(HOST, b"Content-Length: 99999999999999999999"), (400, 413)),
    Hostile(
        "a length that is too small", head(HOST, b"Content-Length: 1", path=b"/nowhere/at/all") + LONG, (404, None)
    ),
    Hostile("a length that is too large", head(HOST, b"Content-Length: 1000") + b"abc", (408,)),
    Hostile("a body that never comes", head(HOST, b"Content-Length: 60000"), (408,)),
    Hostile("a chunked buy", head(HOST, CHUNKED) + b"3\r\nabc\r\n" + LAST_CHUNK, (411,)),
    Hostile("chunks that never end", head(HOST, CHUNKED) + b"5\r\nabc", (411,)),
    Hostile("a chunk of a negative size", head(HOST, CHUNKED) + b"-1\r\nabc\r\n" + LAST_CHUNK, (411,)),
    Hostile("a chunk of a huge size", head(HOST, CHUNKED) + b"FFFFFFFFFFFFFFFFF\r\nabc\r\n", (411,)),
    Hostile(
        "a chunk size with an extension", head(HOST, CHUNKED) + b"3;x=\n\r\nabc\r\n" + LAST_CHUNK + SMUGGLED, (411,)
    ),
    Hostile("a chunk size that ends with a bare LF", head(HOST, CHUNKED) + b"3\nabc\n0\n\n" + SMUGGLED, (411,)),
    Hostile("a trailer with a length", head(HOST, CHUNKED) + b"0\r\nContent-Length: 9\r\n\r\n" + SMUGGLED, (411,)),
    Hostile("chunked twice", head(HOST, CHUNKED, CHUNKED) + LAST_CHUNK, (400,)),
    Hostile("chunked and then not", head(HOST, b"Transfer-Encoding: chunked, identity") + LAST_CHUNK, (400,)),
    Hostile("an unknown coding", head(HOST, b"Transfer-Encoding: xchunked") + LAST_CHUNK, (411,)),
    Hostile("a coding in quotes", head(HOST, b'Transfer-Encoding: "chunked"') + LAST_CHUNK, (411,)),
    Hostile("a coding behind a vertical tab", head(HOST, b"Transfer-Encoding:\x0bchunked") + LAST_CHUNK, (400,)),
    Hostile("a coding with a space before the colon", head(HOST, b"Transfer-Encoding : chunked") + LAST_CHUNK, (400,)),
    Hostile(
        "a coding with an underscore",
        head(HOST, b"Transfer_Encoding: chunked", b"Content-Length: 0", path=b"/x"),
        (404,),
    ),
    Hostile("chunked in HTTP/1.0", head(HOST, CHUNKED).replace(b"1.1", b"1.0") + LAST_CHUNK, (400,)),
    Hostile("only gzip", head(HOST, b"Transfer-Encoding: gzip") + b"abc", (400,)),
]

# Headers: their line ends, names, values and sizes.
HEADERS = [
    Hostile("a folded header", head(HOST, b"X: a", b" b"), (400,)),
    Hostile("a header folded by a tab", head(HOST, b"Content-Length: 0", b"\tX: b"), (400,)),
    Hostile("a folded first header", head(b" Host: a"), (400,)),
    Hostile("a space before the colon", head(b"Host : a"), (400,)),
    Hostile("a header without a colon", head(HOST, b"nonsense"), (400,)),
    Hostile("a header without a name", head(HOST, b": x"), (400,)),
    Hostile("a header with a NUL in its value", head(HOST, b"X: a\0b"), (400,)),
    Hostile("a header with a NUL in its name", head(HOST, b"X\0: a"), (400,)),
    Hostile("a header with a bare CR", head(HOST, b"X: a\rContent-Length: 9"), (400,)),
    Hostile("a header with a bare LF", head(HOST, b"X: a\nContent-Length: 9"), (400,)),
    Hostile("a head of bare LFs", b"POST /Tux/1 HTTP/1.1\nHost: a\n\n", (400,)),
    Hostile("a head of bare CRs", b"POST /Tux/1 HTTP/1.1\rHost: a\r\r", (408,)),
    Hostile("a name that is not ASCII", head(HOST, b"X\xc3\xa9: a"), (400,)),
    Hostile("two hosts", head(HOST, b"Host: b"), (400,)),
    Hostile("a host name by DNS rebinding", head(b"Host: rebound.evil.example:10010"), (403,)),
    Hostile("a host that is the wildcard address", head(b"Host: 0.0.0.0:10010"), (403,)),
    Hostile("a host that is a list", head(b"Host: a, b"), (400,)),
    Hostile("a page of another site", head(HOST, b"Origin: https://evil.example"), (403,)),
    Hostile("a page that hides its site", head(HOST, b"Origin: null"), (403,)),
    Hostile("a page on another port", head(b"Host: 127.0.0.1:1", b"Sec-Fetch-Site: same-site"), (403,)),
    Hostile("a page of an old browser", head(b"Host: 127.0.0.1:1", b"Referer: http://127.0.0.1:2/"), (403,)),
    Hostile("one header of 100,000 characters", head(HOST, b"X: " + LONG), (431,)),
    Hostile("1,000 headers", head(HOST, *[b"X%d: a" % number for number in range(1_000)]), (431,)),
    Hostile("a head of a megabyte", head(HOST, *[b"X: " + b"y" * 8_000] * 130), (431,)),
    Hostile("a head that never ends", b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\n", (408,)),
    Hostile("an unknown expectation", head(HOST, b"Expect: foo"), (417,)),
    Hostile("two expectations", head(HOST, b"Expect: 100-continue, foo"), (417,)),
    Hostile("a repeated key", head(HOST, b"Idempotency-Key: k", b"Idempotency-Key: k"), (400, 404)),
    Hostile("two keys", head(HOST, b"Idempotency-Key: k1", b"Idempotency-Key: k2"), (400, 404)),
    Hostile("a key of 100,000 characters", head(HOST, b"Idempotency-Key: " + LONG), (431,)),
    Hostile("a key that is not ASCII", head(HOST, b"Idempotency-Key: \xff\xfe"), (400, 404)),
    Hostile("an empty key", head(HOST, b"Idempotency-Key:"), (400, 404)),
]

# Request lines.
REQUEST_LINES = [
    Hostile("HTTP/0.9", b"GET /products/Tux\r\n\r\n", (400,)),
    Hostile("HTTP/2 by prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", (400,)),
    Hostile("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", (400,)),
    Hostile("a version with more digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", (400,)),
    Hostile("a version in lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", (400,)),
    Hostile("two spaces", b"POST  /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n", (400,)),
    Hostile("a tab for a space", b"POST\t/Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n", (400,)),
    Hostile("a space in the path", head(HOST, path=b"/T ux/1"), (400,)),
    Hostile("no path", b"POST HTTP/1.1\r\nHost: a\r\n\r\n", (400,)),
    Hostile("a method in lower case", head(HOST, method=b"post"), (400,)),
    Hostile("a malformed method", head(HOST, method=b"P@ST"), (400,)),
    Hostile("a long method", head(HOST, method=b"A" * 200), (400, 405, 404)),
    Hostile("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", (400, 404, 405)),
    Hostile("TRACE", head(HOST, method=b"TRACE"), (404, 405)),
    Hostile("OPTIONS of everything", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", (400, 404, 405)),
    Hostile("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
    Hostile("nothing but NULs", b"\0" * 1_000 + b"\r\n\r\n", (400,)),
    Hostile("nothing but line ends", b"\r\n" * 100, (400, 408, None)),
    Hostile("a request line of 100,000 characters", get(b"/" + LONG), (414, 431)),
    Hostile("a body above the limit", body(b"/Tux/1", LONG), (413,)),
]

# Targets, names, quantities and parameters.
PATHS = [
    Hostile("an absolute target of another host", get(b"http://evil.example/nowhere"), (404,)),
    Hostile("an absolute target with a user", get(b"http://Tux:1@a/nowhere"), (400,)),
    Hostile("an absolute target without a host", get(b"http:///nowhere"), (400, 404)),
    Hostile("a target with an unclosed bracket", get(b"http://[::1/nowhere"), (400, 404)),
    Hostile("a path without a slash", get(b"products/Tux"), (400, 404)),
    Hostile("dots that climb", get(b"/products/../../../../etc/passwd"), (404,)),
    Hostile("encoded dots that climb", get(b"/%2e%2e/%2e%2e/%2e%2e/etc/passwd"), (404,)),
    Hostile("an encoded slash", head(HOST, path=b"/a%2Fb%2Fc/1"), (400, 404, 405)),
    Hostile("an encoded backslash", get(b"/..%5C..%5Cboot.ini"), (404,)),
    Hostile("an encoded NUL", get(b"/products/Tux%00"), (400, 404)),
    Hostile("an encoded line end", get(b"/products/Tux%0d%0aX:%20y"), (400, 404)),
    Hostile("an encoded delete", head(HOST, path=b"/Tux%7f/1"), (400, 404)),
    Hostile("an invalid percent-encoding", get(b"/products/%zz"), (404,)),
    Hostile("a truncated percent-encoding", get(b"/products/%"), (404,)),
    Hostile("invalid UTF-8", get(b"/products/%ff%fe"), (400, 404)),
    Hostile("overlong UTF-8", head(HOST, path=b"/%c0%aeTux/1"), (400, 404)),
    Hostile("half of a surrogate pair", head(HOST, path=b"/%ed%a0%80/1"), (400, 404)),
    Hostile("UTF-8 without percent-encoding", get("/products/Tüx".encode()), (400,)),
    Hostile("a name of 4,000 characters", get(b"/products/" + b"x" * 4_000), (400, 404)),
    Hostile("an empty name", head(HOST, path=b"//1"), (400,)),
    Hostile("an unknown option in a query string", head(HOST, path=b"/Tux/1?hold=10m"), (400, 404)),
    Hostile("an unknown option in a body", body(b"/Tux/1", b'{"customer": "me"}'), (400, 404)),
    Hostile("no quantity", head(HOST, path=b"/Tux/"), (400, 404)),
    Hostile("a negative quantity", head(HOST, path=b"/Tux/-1"), (400, 404)),
    Hostile("a quantity of 0", head(HOST, path=b"/Tux/0"), (400, 404)),
    Hostile("a huge quantity", head(HOST, path=b"/Tux/" + b"9" * 3_000), (400, 404)),
    Hostile("a quantity beyond 64 bits", head(HOST, path=b"/Tux/18446744073709551617"), (400, 404)),
    Hostile("a quantity in hexadecimal", head(HOST, path=b"/Tux/0x1"), (400, 404)),
    Hostile("a quantity with an exponent", head(HOST, path=b"/Tux/1e0"), (400, 404)),
    Hostile("a quantity in full-width digits", head(HOST, path=b"/Tux/%EF%BC%91"), (400, 404)),
    Hostile("SQL in a name", get(b"/products/'%20OR%201=1--"), (404,)),
    Hostile("SQL in a filter", get(b"/products?q='%20UNION%20SELECT%20*%20FROM%20refused--&limit=1"), (200, 404)),
    Hostile("700 parameters", get(b"/products?" + b"&".join([b"q=x"] * 700)), (400, 404)),
    Hostile("a limit of 1,000 digits", get(b"/products?limit=" + b"9" * 1_000), (400, 404)),
    Hostile("an order number of 3,000 digits", get(b"/orders/" + b"9" * 3_000), (404, 405)),
]


def row(key: object = "hostile", name: object = "Tux", quantity: object = 1, *more: object) -> bytes:
    """Returns the body of a call with one row."""
    return json.dumps([[key, name, quantity, *more]]).encode()


# Bodies of calls between the tiers. Each is sent to all three paths and all three tiers.
BODIES = [
    ("no JSON", b"nonsense"),
    ("an empty body", b""),
    ("arrays in arrays", b"[" * 30_000),
    ("arrays in arrays, closed", b"[" * 30_000 + b"]" * 30_000),
    ("objects in objects", b'{"sales":' * 7_000),
    ("a name of 60,000 characters", row(name="x" * 60_000)),
    ("a huge quantity", row().replace(b", 1]", b", " + b"9" * 5_000 + b"]")),
    ("an infinite quantity", row().replace(b", 1]", b", 1e999]")),
    ("a quantity that is true", row(quantity=True)),
    ("a quantity that is not a number", row().replace(b", 1]", b", NaN]")),
    ("a quantity with a fraction", row(quantity=1.0)),
    ("a quantity in quotes", row(quantity="1")),
    ("a key with a line end", row(key="a\nb")),
    ("half of a surrogate pair", row().replace(b"Tux", b"\\ud800")),
    ("a NUL in a name", row(name="Tux\0")),
    ("a row with a cell too many", row("hostile", "Tux", 1, 1)),
    ("a row with a cell too few", json.dumps([["hostile", "Tux"]]).encode()),
    ("a row in a row", json.dumps([[["hostile", "Tux", 1]]]).encode()),
    ("an object for a row", json.dumps([{"key": "hostile", "name": "Tux", "quantity": 1}]).encode()),
    ("an object with a repeated member", b'[{"key": "other", "key": "hostile", "name": "Tux", "quantity": 1}]'),
    ("an object for the rows", json.dumps({"sales": [["hostile", "Tux", 1]]}).encode()),
    ("a comma behind the last row", row().replace(b"]]", b"],]")),
    ("more behind the rows", row() + row()),
    ("a byte order mark", b"\xef\xbb\xbf" + row()),
    ("UTF-16", row().decode().encode("utf-16")),
    ("invalid UTF-8", b'["\xff"]'),
    ("names that are no strings", b"[null, 1, {}]"),
    ("1,000 names", json.dumps(["x"] * 1_000).encode()),
    ("1,000 sales", json.dumps([["hostile", "Tux", 1]] * 1_000).encode()),
]
CALLS = [
    Hostile(f"{name}, at {path.decode()}", body(path, content), (400, 404, 405))
    for name, content in BODIES
    for path in (b"/v1/buys", b"/v1/sales", b"/v1/lookups")
]
# A tier must read a call of another version neither as one of its own version nor as a decrement.
CALLS += [
    Hostile(f"a call of another version, {path.decode()}", body(path, row()), (400, 404, 405))
    for path in (b"/v0/sales", b"/v2/sales", b"/v2/buys", b"/v01/sales", b"/v1/sales/", b"/v1//sales", b"/V1/sales")
]

CORPUS = [*FRAMING, *HEADERS, *REQUEST_LINES, *PATHS, *CALLS]
