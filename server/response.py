"""The one way out: every response, the server's own errors included, is written here."""

import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from wsgi_apps.base import error_reply, send

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# The server says these itself. They concern the connection, which an app knows nothing of.
_OWN_HEADERS = {"connection", "date", "keep-alive", "server", "transfer-encoding", "upgrade", "x-content-type-options"}


class Response:
    """A response under way. `start` is the start_response of WSGI; the access log reads the rest."""

    __slots__ = ("_written", "headers", "sent", "status")

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.sent = 0  # bytes of the body
        self._written: list[bytes] = []

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        if self.status and exc_info is None:
            raise AssertionError("start_response was called twice")
        self.status, self.headers = status, headers
        return self._written.append

    def encode(self, parts: Iterable[bytes], *, omit_body: bool, keep_alive: bool) -> bytes:
        """The whole response. Raises ValueError for one that a client would read differently from how it was meant."""
        body = b"".join([*self._written, *parts])
        if not self.status:
            raise ValueError("the app did not call start_response")
        has_none = self.status[:3] in ("204", "304")  # whatever the app gives
        has_body = not (omit_body or has_none)
        length = None
        lines = [f"HTTP/1.1 {self.status}\r\n"]
        for name, value in self.headers:
            field = name.lower()
            if field == "content-length":
                length = value
            if field not in _OWN_HEADERS:
                lines.append(f"{name}: {value}\r\n")
        if length is None and not has_none and (has_body or body):
            length = str(len(body))
            lines.append(f"Content-Length: {length}\r\n")
        text = "".join(lines)
        if not text.count("\r") == text.count("\n") == len(lines) or "\0" in text:
            raise ValueError("a line end stands in a header of the response")
        head = text.encode("latin-1") + _server_fields(int(time.time()), keep_alive)
        if not has_body:
            return head
        if length != str(len(body)):
            raise ValueError(f"the body has {len(body)} bytes, and its Content-Length is {length}")
        self.sent = len(body)
        return head + body


def encode_error(status: int, message: str, *, omit_body: bool = False) -> bytes:
    """The response to a request that no app has answered, in the form that the store's errors have."""
    response = Response()
    body = send(error_reply(status, message), {"REQUEST_METHOD": "GET"}, response.start)
    return response.encode(body, omit_body=omit_body, keep_alive=False)


@lru_cache(maxsize=2)
def _server_fields(time_s: int, keep_alive: bool) -> bytes:
    """The fields that the server adds to every response, and the empty line. They are the same for a second."""
    connection = "keep-alive" if keep_alive else "close"
    date = formatdate(time_s, usegmt=True)
    fields = f"Server: gunicorn\r\nDate: {date}\r\nConnection: {connection}\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    return fields.encode()
