"""A kept connection to another tier: one request and its reply at a time, each by a deadline.

It reads what our own tiers send, and what a plain proxy between them makes of it. All else it refuses. http.client
understands more, and takes 26 of the 73 µs of a call for it.
"""

import re
import select
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

# A tier's own heads take some 200 bytes; a proxy adds its lines.
MAX_HEAD_BYTES = 16 * 1024
# More than the largest page, and than the answers to the most questions in one call.
MAX_BODY_BYTES = 1024 * 1024
_RECEIVE_BYTES = 64 * 1024

# Status line and header lines as RFC 9112 has them, but for folded lines. In 1.0, as wsgiref has it, a length says as
# well where the reply ends; a version that comes after 1.1 may say it otherwise.
_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_LENGTH = re.compile(r"[0-9]{1,7}")


class ReplyRefused(ConnectionError):
    """Something else than a reply that is surely whole. It answers nothing, and the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class TierReply:
    """A reply. The names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    closes: bool


class TierConnection:
    """Opens with its first request. Whoever gets an error from it closes it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._poll = select.poll()
        self.sock: socket.socket | None = None

    def exchange(self, request: bytes, deadline: float) -> TierReply:
        """Send a request and read its reply by the deadline (monotonic clock). Raises OSError.

        The request goes in one piece, for in two, head and body, it would wake the tier up twice.
        """
        if self.sock is None:
            self.sock = self._connect(deadline)
            self._poll.register(self.sock, select.POLLIN)
        elif self._poll.poll(0):  # whatever is there was there before the question, so it is no answer to it
            raise ReplyRefused("it has ended a kept connection, or sent more than was asked")
        self.sock.settimeout(_remaining_s(deadline))
        self.sock.sendall(request)
        return self._read(self.sock, deadline)

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()

    def _connect(self, deadline: float) -> socket.socket:
        """To the first of the host's addresses that answers; each has its share of the time that is left.

        Finding the addresses takes as long as the system's resolver takes.
        """
        addresses = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        for share, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            sock: socket.socket | None = None
            try:
                sock = socket.socket(family, kind, protocol)  # the system may not have this family
                sock.settimeout(_remaining_s(deadline) / share)
                sock.connect(address)
            except OSError:
                if sock is not None:
                    sock.close()
                if share == 1:
                    raise
                continue
            with suppress(OSError):  # it is faster with it, and works without
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        raise OSError("the host has no address")

    def _read(self, sock: socket.socket, deadline: float) -> TierReply:
        data = bytearray()
        while (end := data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)) < 0:
            if len(data) >= MAX_HEAD_BYTES:
                raise ReplyRefused("the head of its reply is too long")
            data += _received(sock, deadline)
        end += len(b"\r\n\r\n")
        minor_version, status, headers = _parse_head(bytes(data[:end]))
        length = _length(status, headers)
        while len(data) < end + length:
            data += _received(sock, deadline)
        if len(data) > end + length:
            raise ReplyRefused("it sent more than its reply")
        options = headers.get("connection", "").lower().split(",")
        closes = minor_version == b"0" or "close" in [option.strip() for option in options]
        return TierReply(status, headers, bytes(data[end:]), closes)


def _parse_head(head: bytes) -> tuple[bytes, int, dict[str, str]]:
    """Minor version, status and headers; the values of one that stands twice become a list."""
    match = _HEAD.fullmatch(head)
    if match is None:
        raise ReplyRefused("its reply is not HTTP/1.1")
    minor_version, status, lines = match.groups()
    headers: dict[str, str] = {}
    for line in lines.decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip("\t ")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return minor_version, int(status), headers


def _length(status: int, headers: Mapping[str, str]) -> int:
    """The bytes of the body. Raises ReplyRefused unless one Content-Length says it, and nothing else could."""
    if status < 200 or status in (204, 304):  # they have no body whatever their length says, and nobody asks for them
        raise ReplyRefused(f"it answers {status}, to which it was not asked")
    if "transfer-encoding" in headers:
        raise ReplyRefused("its reply is chunked")
    length = headers.get("content-length", "")
    if not _LENGTH.fullmatch(length):
        raise ReplyRefused("its reply does not say its length")
    if int(length) > MAX_BODY_BYTES:
        raise ReplyRefused("its reply is too long")
    return int(length)


def _received(sock: socket.socket, deadline: float) -> bytes:
    """The next bytes. Raises ReplyRefused at the end of the connection."""
    # Set anew each time: the socket's own timeout would begin again with each byte that trickles in.
    sock.settimeout(_remaining_s(deadline))
    data = sock.recv(_RECEIVE_BYTES)
    if not data:
        raise ReplyRefused("it ended the connection before its reply was whole")
    return data


def _remaining_s(deadline: float) -> float:
    """Raises TimeoutError when nothing is left. For a socket, a timeout of 0 would mean never to wait."""
    remaining_s = deadline - time.monotonic()
    if remaining_s <= 0:
        raise TimeoutError
    return remaining_s
