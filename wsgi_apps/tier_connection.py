"""A kept HTTP/1.1 connection to a tier: one request and its reply at a time, each by a deadline.

It parses the replies of our own tiers, also behind a plain proxy, and rejects all others. http.client parses more, and
takes 26 of the 73 µs of a call for it.
"""

import re
import select
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

# The heads of a tier have some 200 bytes, and a proxy adds lines.
MAX_HEAD_BYTES = 16 * 1024
# More than the largest page, and more than the largest answer to a batch.
MAX_BODY_BYTES = 1024 * 1024
_RECEIVE_BYTES = 64 * 1024

# Status line and header lines by RFC 9112, without folded lines. In HTTP/1.0, which wsgiref speaks, Content-Length ends
# the reply as well. A version after 1.1 may have other rules.
_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_LENGTH = re.compile(r"[0-9]{1,7}")


class ReplyRefused(ConnectionError):
    """A reply that is malformed, or not surely complete. It answers nothing, and its connection must be closed."""


@dataclass(frozen=True, slots=True)
class TierReply:
    """A complete reply. The names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    closes: bool


class TierConnection:
    """A connection that opens at its first request. Close it after an error."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._poll = select.poll()
        self.sock: socket.socket | None = None

    def exchange(self, request: bytes, deadline: float) -> TierReply:
        """Sends a request and reads its reply by the deadline (monotonic clock). Raises OSError.

        Pass the request in one piece: head and body in two pieces would wake the tier up twice.
        """
        if self.sock is None:
            self.sock = self._connect(deadline)
            self._poll.register(self.sock, select.POLLIN)
        elif self._poll.poll(0):  # bytes that came before the request are no answer to it
            raise ReplyRefused("it has ended a kept connection, or sent more than was asked")
        self.sock.settimeout(_remaining_s(deadline))
        self.sock.sendall(request)
        return self._read(self.sock, deadline)

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()

    def _connect(self, deadline: float) -> socket.socket:
        """Connects to the first address of the host that answers. Each has its share of the time that is left.

        The deadline does not limit the system's resolver.
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
            with suppress(OSError):  # it is faster with TCP_NODELAY, and works without
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
    """Parses minor version, status and headers. It joins the values of a repeated header by commas."""
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
    """Returns the length of the body in bytes. Raises ReplyRefused unless a single Content-Length says it."""
    if status < 200 or status in (
        204,
        304,
    ):  # they have no body, whatever their length says, and no request of ours gets one
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
    """Receives the next bytes. Raises ReplyRefused at the end of the connection."""
    # Set before each recv: the timeout of a socket starts again with each byte that trickles in.
    sock.settimeout(_remaining_s(deadline))
    data = sock.recv(_RECEIVE_BYTES)
    if not data:
        raise ReplyRefused("it ended the connection before its reply was whole")
    return data


def _remaining_s(deadline: float) -> float:
    """Returns the time that is left. Raises TimeoutError at 0, a timeout that makes a socket non-blocking."""
    remaining_s = deadline - time.monotonic()
    if remaining_s <= 0:
        raise TimeoutError
    return remaining_s
