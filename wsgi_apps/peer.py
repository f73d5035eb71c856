"""Another tier, over HTTP: kept-alive connections, and a deadline for each call."""

import http.client
import io
import json
import logging
import random
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from conf.secret import Secrets
from conf.settings import Address
from domain.errors import Unavailable

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.25

_log = logging.getLogger(__name__)


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
    """What http.client wants of a socket, to read one response from it by a deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline))


class _Connection(http.client.HTTPConnection):
    """Sends a request in one piece, for in two, head and body, it would wake the tier up twice; and reads the response
    by the same deadline, which the caller sets (monotonic clock)."""

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


class Peer:
    """Another tier: kept-alive connections, and a deadline for each call, within which it is asked again and again.

    Asking again is safe for every call of this store: a query changes nothing and a buy carries its key.

    On http.client, the cheapest of the three at hand: on urllib3 a lone shopper gets 11 % fewer queries, on requests
    42 % (`make bench-transports`). It has no retries of its own, and reads no proxy settings.
    """

    def __init__(self, name: str, address: Address, *, deadline_s: float, secrets: Secrets | None = None) -> None:
        self._name = name
        self._address = address
        self._deadline_s = deadline_s
        self._authorization = {"Authorization": secrets.authorization} if secrets else {}
        self._is_refused = False
        self._idle: list[_Connection] = []

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        within_s: float | None = None,
    ) -> tuple[int, Any]:
        """Status below 500 and the JSON of the reply. Raises Unavailable at the deadline, or `within_s` if sooner.

        It raises at once where the tier does not know our secret: it will not learn it within the deadline.
        """
        headers = {**(headers or {}), **self._authorization}
        deadline = time.monotonic() + (self._deadline_s if within_s is None else min(self._deadline_s, within_s))
        pause_s = _FIRST_PAUSE_S
        while (left_s := deadline - time.monotonic()) > 0:
            # Half of the time at most for one try: a connection that died in silence must not take it all.
            answer = self._ask(method, path, headers, body, timeout_s=min(left_s, self._deadline_s / 2))
            if answer is not None:
                self._require_acceptance(answer[0])
                return answer
            # A random part keeps the callers of a tier that comes back from coming all at once.
            time.sleep(min(pause_s * random.uniform(0.5, 1.0), max(0.0, deadline - time.monotonic())))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        raise Unavailable(f"the {self._name} does not answer, try again")

    def _require_acceptance(self, status: int) -> None:
        """Raises Unavailable when the tier does not accept us, and tells the log when that begins."""
        is_refused = status == 401
        if is_refused and not self._is_refused:
            _log.error("the %s does not accept this tier: is TIER_SECRET the same for both?", self._name)
        self._is_refused = is_refused
        if is_refused:
            raise Unavailable(f"the {self._name} does not answer, try again")

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            connection.close()

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> tuple[int, Any] | None:
        """One try; None when it gave no definite answer."""
        connection = self._connection()
        connection.deadline = time.monotonic() + timeout_s
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.close()  # the others are as old as this one, and as dead when the tier has restarted
            return None
        if not response.will_close:
            self._idle.append(connection)
        try:
            return (response.status, json.loads(data)) if response.status < 500 else None
        except ValueError:
            return None

    def _connection(self) -> _Connection:
        """A kept connection, or a new one. list.pop is atomic, so no two threads get the same."""
        try:
            return self._idle.pop()
        except IndexError:
            return _Connection(self._address.host, self._address.port)
