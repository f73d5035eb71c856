"""Bytes of a connection become requests, wherever they were cut on their way. Nothing here waits or knows a socket."""

import re
from collections.abc import Mapping
from typing import Any

from server.request import MAX_HEAD_BYTES, BadRequest, Request, parse_head

_END_OF_HEAD = b"\r\n\r\n"
# A head with a line that ends so is none, and would never end.
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")


class RequestReader:
    """Reads the requests of one connection, one after the other.

    After BadRequest it is not to be used again: nobody knows where the next request would begin.
    """

    def __init__(self, base_environ: Mapping[str, Any]) -> None:
        self._base_environ = base_environ
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer in which no head ends
        self._request: Request | None = None  # whose body is still to come

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the next request has come. Line ends before it are nothing, nor is half of one."""
        return self._request is None and (not self._buffer or self._buffer == b"\r")

    @property
    def awaits_body(self) -> bool:
        """Whether a head has come whose body has not."""
        return self._request is not None

    @property
    def is_head_request(self) -> bool:
        """Whether an error about the request at hand must have no body, because it is a HEAD."""
        return self._buffer.startswith(b"HEAD ") if self._request is None else self._request.is_head

    def take_go_ahead(self) -> bool:
        """Whether the client holds the body back until it is told to go on (RFC 9110, 10.1.1). It is told once."""
        if self._buffer or self._request is None or not self._request.expects_continue:
            return False
        self._request.expects_continue = False
        return True

    def next_request(self) -> Request | None:
        """The next request with its body; None until it is whole. Raises BadRequest."""
        if self._request is None:
            end = self._end_of_head()
            if not end:
                return None
            self._request = parse_head(self._buffer[:end], self._base_environ)  # a head that is refused stays
            del self._buffer[:end]
        request, length = self._request, self._request.content_length
        if len(self._buffer) < length:
            return None
        if length:
            request.add_body(bytes(self._buffer[:length]))
            del self._buffer[:length]
        self._request = None
        return request

    def _end_of_head(self) -> int:
        """Where the head ends; 0 until it has come. Raises BadRequest when it is too long, or none."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # some clients end a body so (RFC 9112, 2.2)
            del buffer[:2]
        end = buffer.find(_END_OF_HEAD, self._searched)
        if end < 0 and _BARE_LINE_FEED.search(buffer, self._searched):
            raise BadRequest(400, "a line of the head ends with a bare LF")
        size = len(buffer) if end < 0 else end + len(_END_OF_HEAD)
        if size > MAX_HEAD_BYTES:
            raise BadRequest(431, "the head of the request is too long")
        if end < 0:
            self._searched = max(0, size - len(_END_OF_HEAD) + 1)
            return 0
        self._searched = 0
        return size
