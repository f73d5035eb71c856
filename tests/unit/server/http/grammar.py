"""Generates streams of requests: valid ones, and ones with odd parts and random damage."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TypeVar

import hypothesis.strategies as st

T = TypeVar("T")

METHODS = [b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"A", b"PATCH"]
ODD_METHODS = [b"", b"get", b"P@ST", b"M-SEARCH", b"A" * 20, b"A" * 21, b"CONNECT", b"TRACE", b"G\0T", b"PRI", b"\xc4B"]
TARGETS = [
    b"/", b"/products/Tux", b"/Tux/1?k=v&w=%20", b"/%C3%BC%2F", b"/a;b=c,d", b"/?", b"//a/b", b"/a?b?c", b"/%zz",
    b"http://a/products/Tux", b"http://a:80?q", b"HTTP://[::1]:80/", b"https://a.example", b"/\"'<>{}|\\^`[]",
]  # fmt: skip
ODD_TARGETS = [
    b"", b"*", b"a:80", b"products/Tux", b"/a#b", b"#", b"/a b", b"/\xc3\xbc", b"/\x7f", b"/a\tb", b"ftp://a/b",
    b"http://", b"http:///a", b"http://u:p@a/b", b"http://[::1/a", b"http://a b/", b"/" + b"x" * 4_100, b"http:/a",
    b"//", b"http://]/", b"http://a:b/", b"http://a:80:80/", b"mailto:a", b"http://a\\b/", b"?a",
]  # fmt: skip
VERSIONS = [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2"]
ODD_VERSIONS = [
    b"", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.10", b"HTTP/01.1", b"http/1.1", b"HTTP/1.", b"HTTP/1,1",
    b"HTTP/1.1 ", b"RTSP/1.0", b"ICE/1.0", b"HTTP/ 1.1", b"HTTP/1.\xb2",
]  # fmt: skip
HOSTS = [b"a", b"a:80", b"", b"[::1]:6060", b"shop.example", b"127.0.0.1:6060", b"A.b-c_d"]
ODD_HOSTS = [
    b"a, b", b"a b", b"a/b", b"http://a", b"[::1", b"a:b", b"u@a", b"a,b", b"\xe9", b"a:80:80", b"[]", b"a?b", b"a#",
]  # fmt: skip
CONNECTIONS = [
    b"close", b"keep-alive", b"Keep-Alive", b"TE, close", b"TE", b"close, keep-alive", b", ,close ,", b"CLOSE", b"",
]  # fmt: skip
ODD_CONNECTIONS = [b"closed", b'"close"', b"close;a", b"close keep-alive", b"upgrade", b"cl\xf6se"]
CODINGS = [
    b"chunked", b"Chunked", b"gzip", b"identity", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"",
    b"xchunked", b'"chunked"', b"chunked;a=b", b"\x0bchunked", b"chunked,", b",chunked", b"x-gzip", b"trailers",
]  # fmt: skip
ODD_LENGTHS = [
    b"", b"-1", b"+3", b"0x3", b"3, 3", b"3,4", b"1_0", b"3.0", b"\xb3", b"\xb2", b"9" * 18, b"9" * 19, b"9" * 25,
    b"00", b"003", b"65536", b"65537", b"1 2", b"\xa03", b"3\x0c", b"0" * 17 + b"3", b"0" * 18 + b"3",
]  # fmt: skip
EXPECTATIONS = [b"100-continue", b"100-Continue"]
ODD_EXPECTATIONS = [b"foo", b"100-continue, foo", b"", b"100-continue;a", b"200-ok"]
NAMES = [
    b"Accept", b"X-A", b"Cookie", b"!#$%&'*+-.^`|~09", b"X_A", b"Content_Length", b"User-Agent", b"Accept-Language",
    b"X",
]  # fmt: skip
ODD_NAMES = [
    b"Content-Type", b"", b"X A", b"X\0", b"X\xe9", b"X(", b" X", b"\tX", b"Host ", b"Content-Length\t", b"X:Y",
    b"X\x7f", b'"X"', b"@",
]  # fmt: skip
VALUES = [b"a", b"", b"a, b", b"a b\tc", b"\xe9\xff\x80", b'"a:b"', b"a=1; b=2", b"'\\(){}[]<>@,;:/?="]
ODD_VALUES = [
    b"a\0b", b"a\rb", b"a\nb", b"a\x7f", b"a\x0bb", b"a\x0c", b"a\x1b", b"\x01", b"x" * 8_190, b"a\r\n b",
    b"a\r\n\tb",
]  # fmt: skip
BODIES = [
    b"", b"abc", b"\r\n", b"\r\n\r\n", b"GET /in-a-body HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\n\r\n", b"x" * 100,
    b"\0\xff",
]  # fmt: skip
CHUNKS = [b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n"]
SPLICES = [
    b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b"\x80", b"\xff", b"\x0b", b"\x0c", b"\x7f", b"#", b",",
    b"\r\n ", b"\r\n\t", b"\n\n", b"\r\r", b"\r\n\r\n", b"\x85", b"\xa0", b"_", b"%", b"a", b"0", b"?", b"@",
    b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"Connection: close\r\n",
    b"HTTP/1.0", b"\r\nX: y",
]  # fmt: skip
PADS = [b"", b" ", b" ", b" ", b"\t", b" \t "]
ODD_GAPS = [b"  ", b"\t", b"", b" \t", b"\x0b", b"\r"]
ODD_LINE_ENDS = [b"\n", b"\r", b"\n\r", b"\r\r\n", b"", b" \r\n", b"\r\n\r\n"]
EMPTY_LINES = [b"", b"", b"", b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n"]


class StreamGenerator:
    """Generates streams of requests from random numbers.

    `number_below(n)` returns a random number from 0 to n - 1. One part in `odds` is an odd one, or none if `odds` is 0.
    """

    def __init__(self, number_below: Callable[[int], int], odds: int) -> None:
        self._number_below = number_below
        self._odds = odds

    def choose(self, usual: Sequence[T], odd: Sequence[T] = ()) -> T:
        """Returns one of the usual parts, or sometimes one of the odd ones."""
        parts = odd if odd and self._odds and self.happens(self._odds) else usual
        return parts[self._number_below(len(parts))] if len(parts) > 1 else parts[0]

    def happens(self, one_in: int) -> bool:
        """Returns True once in so many calls, at random."""
        return self._number_below(one_in) == 1

    def stream(self) -> bytes:
        """Returns one to three requests."""
        return b"".join(self.request() for _ in range(self.choose([1, 2, 2, 3])))

    def request(self) -> bytes:
        """Returns a request with headers in any order, a few empty lines before it, and perhaps a body."""
        version, body = self.choose(VERSIONS, ODD_VERSIONS), self.choose(BODIES)
        names = [self.choose(NAMES, ODD_NAMES) for _ in range(self.choose([0, 1, 1, 2, 3]))]
        fields = [(name, self.choose(VALUES, ODD_VALUES)) for name in names]
        if version != b"HTTP/1.0" or self.happens(2):
            fields += [(b"Host", self.choose(HOSTS, ODD_HOSTS))] * self.choose([1], [0, 2])
        if body or self.happens(4):
            fields += [(b"Content-Length", self.choose([b"%d" % len(body)], ODD_LENGTHS))] * self.choose([1], [0, 2])
        if self.happens(3):
            fields += [
                (b"Connection", self.choose(CONNECTIONS, ODD_CONNECTIONS)) for _ in range(self.choose([1, 1, 2]))
            ]
        if self._odds and self.happens(10):
            fields += [(b"Transfer-Encoding", self.choose(CODINGS)) for _ in range(self.choose([1, 1, 2]))]
            body = self.choose([body, *CHUNKS])
        if self.happens(12):
            fields.append((b"Expect", self.choose(EXPECTATIONS, ODD_EXPECTATIONS)))
        for _ in fields:
            fields.insert(self._number_below(len(fields)), fields.pop())
        lines = [self._line(name, value) for name, value in fields]
        begin = self.choose(METHODS, ODD_METHODS), self.choose(TARGETS, ODD_TARGETS), version
        first = begin[0] + self.choose([b" "], ODD_GAPS) + begin[1] + self.choose([b" "], ODD_GAPS) + begin[2]
        end = self.choose([b"\r\n"], ODD_LINE_ENDS)
        return self.choose(EMPTY_LINES) + first + self.choose([b"\r\n"], ODD_LINE_ENDS) + b"".join(lines) + end + body

    def _line(self, name: bytes, value: bytes) -> bytes:
        return name + b":" + self.choose(PADS) + value + self.choose(PADS) + self.choose([b"\r\n"], ODD_LINE_ENDS)

    def damaged(self, data: bytes) -> bytes:
        """Returns the stream with up to three insertions, replacements, deletions, repetitions or cuts."""
        for _ in range(self.choose([0, 1, 1, 2, 3])):
            start = self._number_below(len(data) + 1)
            end = min(len(data), start + self.choose([0, 1, 1, 2, 7, 30]))
            kind = self.choose(["splice", "splice", "replace", "delete", "repeat", "truncate"])
            middle = {"delete": b"", "truncate": b"", "repeat": data[start:end] * 2}.get(kind)
            if middle is None:
                middle = self.choose(SPLICES) + (data[start:end] if kind == "splice" else b"")
            data = data[:start] + middle + (b"" if kind == "truncate" else data[end:])
        return data


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A Hypothesis strategy: one to three requests with odd parts and random damage."""
    generator = StreamGenerator(lambda below: draw(st.integers(0, below - 1)), odds=25)
    return generator.damaged(generator.stream())


def valid_streams(seed: int, count: int) -> Iterator[bytes]:
    """Yields streams of one to three valid requests."""
    generator = StreamGenerator(Random(seed).randrange, odds=0)
    for _ in range(count):
        yield generator.stream()


def odd_streams(seed: int, count: int) -> Iterator[bytes]:
    """Yields streams like `streams`, a hundred times as fast; Hypothesis does not shrink their failures."""
    generator = StreamGenerator(Random(seed).randrange, odds=25)
    for _ in range(count):
        yield generator.damaged(generator.stream())
