"""A connection over HTTP whose every exchange ends by a deadline, however slowly the other side sends."""

import http.client
import io
import socket
import time
from contextlib import suppress
from typing import Any


class _Reader(io.RawIOBase):
    """Reads from a socket until a deadline. The socket's own timeout starts anew with each byte that trickles in."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        # It keeps the socket open until all is read, when http.client has closed it already.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left_s(self._deadline))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        super().close()
        self._raw.close()


class _SocketWithDeadline:
    """Stands in the place of a socket, for http.client to read one response from it by a deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline))


class DeadlineConnection(http.client.HTTPConnection):
    """Sends a request and reads its response by one deadline, which the caller sets (monotonic clock).

    The request goes in one piece, for in two, head and body, it would wake the tier up twice.
    """

    deadline = 0.0
    _gathered = b""

    def send(self, data: Any) -> None:
        self._gathered += data

    def getresponse(self) -> http.client.HTTPResponse:
        data, self._gathered = self._gathered, b""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(_left_s(self.deadline))
        super().send(data)
        return super().getresponse()

    def connect(self) -> None:
        """To the first of the host's addresses that answers; each has its share of the time that is left.

        Finding the addresses takes as long as the system's resolver takes.
        """
        addresses = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        for share, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            self.sock = socket.socket(family, kind, protocol)
            try:
                self.sock.settimeout(_left_s(self.deadline) / share)
                self.sock.connect(address)
                break
            except OSError:
                self.sock.close()
                if share == 1:
                    raise
        with suppress(OSError):  # it is faster with it, and works without
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def response_class(self, sock: socket.socket, **options: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        return http.client.HTTPResponse(_SocketWithDeadline(sock, self.deadline), **options)  # type: ignore[arg-type]


def _left_s(deadline: float) -> float:
    """Raises TimeoutError when nothing is left. For a socket, a timeout of 0 would mean never to wait."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
