"""Encodes every HTTP response as bytes, including the errors that the server itself answers with."""

import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from wsgi_apps.base import error_reply, send

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Headers that are not taken from an app. The server sets them itself, or never sends them: they concern the connection.
_SERVER_HEADERS = {
    "connection", "date", "keep-alive", "server", "transfer-encoding", "upgrade", "x-content-type-options",
}  # fmt: skip


class Response:
    """A response under way. gunicorn's access log reads `status`, `headers` and `sent`."""

    __slots__ = ("_written", "headers", "sent", "status")

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.sent = 0  # bytes of the body
        self._written: list[bytes] = []  # by WSGI's `write`; these bytes come before the parts

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """Is the start_response of WSGI. Returns its `write`."""
        if self.status and exc_info is None:
            raise AssertionError("start_response was called twice")
        self.status, self.headers = status, headers
        return self._written.append

    def encode(self, parts: Iterable[bytes], *, omit_body: bool, keep_alive: bool) -> bytes:
        """Returns the whole response as bytes. `parts` are the body that the app returned.

        Raises ValueError when the app did not call start_response, for a line end in a header, and for a Content-Length
        that differs from the body: the client would misread the response.
        """
        body = b"".join([*self._written, *parts])
        if not self.status:
            raise ValueError("the app did not call start_response")
        is_bodyless = self.status[:3] in ("204", "304")  # the app's body, if any, is dropped
        has_body = not (omit_body or is_bodyless)
        length = None
        lines = [f"HTTP/1.1 {self.status}\r\n"]
        for name, value in self.headers:
            field = name.lower()
            if field == "content-length":
                length = value
            if field not in _SERVER_HEADERS:
                lines.append(f"{name}: {value}\r\n")
        # To a HEAD, an app may return the body of the GET or nothing. Without a body its length is unknown.
        if length is None and not is_bodyless and (has_body or body):
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
    """Returns the response to a request that no app has answered: an error in the store's JSON form."""
    response = Response()
    body = send(error_reply(status, message), {"REQUEST_METHOD": "GET"}, response.start)
    return response.encode(body, omit_body=omit_body, keep_alive=False)


@lru_cache(maxsize=2)
def _server_fields(time_s: int, keep_alive: bool) -> bytes:
    """Returns the headers that the server adds, and the empty line. The cached bytes serve for a whole second."""
    connection = "keep-alive" if keep_alive else "close"
    date = formatdate(time_s, usegmt=True)
    fields = f"Server: gunicorn\r\nDate: {date}\r\nConnection: {connection}\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    return fields.encode()
