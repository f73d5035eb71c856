"""An HTTP/1.1 connection to a tier that stays open between calls. It has one request at a time, with a deadline.

It parses the replies of our own tiers, also behind a plain proxy, and rejects all others. http.client parses more forms
of HTTP, and would take 26 of the 73 µs of a call for that.
"""

import re
import select
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

# The head of a tier's reply has some 200 bytes, and a proxy adds lines.
MAX_HEAD_BYTES = 16 * 1024
# More than the largest page, and more than the largest answer to a batch.
MAX_BODY_BYTES = 1024 * 1024
# More than the largest answer to the owner: takings of MAX_TAKINGS days and products with the longest names.
MAX_OWNERS_BODY_BYTES = 32 * 1024 * 1024
_RECEIVE_BYTES = 64 * 1024

# The status line and the header lines by RFC 9112, without folded lines. HTTP/1.0, which wsgiref speaks, has the same
# Content-Length. Versions above 1.1 may have other rules.
_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_LENGTH = re.compile(r"[0-9]{1,9}")


class ReplyRefused(ConnectionError):
    """A reply that is malformed, or may be incomplete. It is no answer, and its connection must be closed."""


@dataclass(frozen=True, slots=True)
class TierReply:
    """A complete reply. The names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    closes: bool  # the tier closes the connection after this reply


class TierConnection:
    """A connection that opens at its first request. Close it after an error."""

    def __init__(self, host: str, port: int, max_body_bytes: int = MAX_BODY_BYTES, *, connect_share: int = 1) -> None:
        """A reply with a body above `max_body_bytes` is refused.

        Of the time of an exchange, the connect may take one part in `connect_share`.
        """
        self._host, self._port = host, port
        self._connect_share = connect_share
        self._max_body_bytes = max_body_bytes
        self._poll = select.poll()
        self.sock: socket.socket | None = None

    def exchange(self, request: bytes, deadline: float) -> TierReply:
        """Sends a request and reads its reply by the deadline (monotonic clock). Raises OSError.

        The request is sent in one piece, because head and body in two pieces would wake the tier up twice.
        """
        if self.sock is None:
            self.sock = self._connect(deadline)
            self._poll.register(self.sock, select.POLLIN)
        elif self._poll.poll(0):  # it has bytes, which cannot be the answer, or has ended
            raise ReplyRefused("it has ended a kept connection, or sent more than was asked")
        self.sock.settimeout(_remaining_s(deadline))
        self.sock.sendall(request)
        return self._read(self.sock, deadline)

    def close(self) -> None:
        """Closes the connection, if it is open."""
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
                sock = socket.socket(family, kind, protocol)  # raises if the system lacks this family
                sock.settimeout(_remaining_s(deadline) / share / self._connect_share)
                sock.connect(address)
            except OSError:
                if sock is not None:
                    sock.close()
                if share == 1:
                    raise
                continue
            with suppress(OSError):  # without TCP_NODELAY the connection is only slower
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        raise OSError("the host has no address")

    def _read(self, sock: socket.socket, deadline: float) -> TierReply:
        """Reads exactly one reply. Raises ReplyRefused for anything else, and OSError."""
        data = bytearray()
        while (end := data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)) < 0:
            if len(data) >= MAX_HEAD_BYTES:
                raise ReplyRefused("the head of its reply is too long")
            data += _receive(sock, deadline)
        end += len(b"\r\n\r\n")
        minor_version, status, headers = _parse_head(bytes(data[:end]))
        length = _length(status, headers, self._max_body_bytes)
        while len(data) < end + length:
            data += _receive(sock, deadline)
        if len(data) > end + length:
            raise ReplyRefused("it sent more than its reply")
        options = headers.get("connection", "").lower().split(",")
        closes = minor_version == b"0" or "close" in [option.strip() for option in options]
        return TierReply(status, headers, bytes(data[end:]), closes)


def _parse_head(head: bytes) -> tuple[bytes, int, dict[str, str]]:
    """Returns the minor version, the status and the headers. Joins the values of a repeated header by commas."""
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


def _length(status: int, headers: Mapping[str, str], max_body_bytes: int) -> int:
    """Returns the length of the body in bytes. Raises ReplyRefused unless a single Content-Length says it."""
    # These replies have no body, whatever their Content-Length says. No request of ours should get one.
    if status < 200 or status in (204, 304):
        raise ReplyRefused(f"it answers {status}, to which it was not asked")
    if "transfer-encoding" in headers:
        raise ReplyRefused("its reply is chunked")
    length = headers.get("content-length", "")
    if not _LENGTH.fullmatch(length):
        raise ReplyRefused("its reply does not say its length")
    if int(length) > max_body_bytes:
        raise ReplyRefused("its reply is too long")
    return int(length)


def _receive(sock: socket.socket, deadline: float) -> bytes:
    """Receives the next bytes. Raises ReplyRefused at the end of the connection."""
    # The timeout of a socket begins again with each recv, so it is set to what is left of the deadline.
    sock.settimeout(_remaining_s(deadline))
    data = sock.recv(_RECEIVE_BYTES)
    if not data:
        raise ReplyRefused("it ended the connection before its reply was whole")
    return data


def _remaining_s(deadline: float) -> float:
    """Returns the time that is left. Raises TimeoutError at 0, because a timeout of 0 makes a socket non-blocking."""
    remaining_s = deadline - time.monotonic()
    if remaining_s <= 0:
        raise TimeoutError
    return remaining_s
