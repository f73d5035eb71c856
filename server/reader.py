"""Bytes of a connection become requests, wherever they were cut on their way. Nothing here waits or knows a socket."""

import re
from collections.abc import Mapping
from typing import Any

from server.request import MAX_HEAD_BYTES, BadRequest, Request, parse_head

_END_OF_HEAD = b"\r\n\r\n"
# A head with a line that ends so is none, and would never end.
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_TOO_LONG = "the head of the request is too long"


class RequestReader:
    """Reads the requests of one connection, one after the other.

    After BadRequest it is not to be used again: nobody knows where the next request would begin.
    """

    def __init__(self, base_environ: Mapping[str, Any]) -> None:
        self._base_environ = base_environ
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer in which no head ends
        self._request: Request | None = None  # whose body is still to come
        self._is_head_request = False

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the next request has come."""
        return not self._buffer and self._request is None

    @property
    def awaits_body(self) -> bool:
        """Whether a head has come whose body has not."""
        return self._request is not None

    def take_go_ahead(self) -> bool:
        """Whether the client holds the body back until it is told to go on (RFC 9110, 10.1.1). It is told once."""
        if self._buffer or self._request is None or not self._request.expects_continue:
            return False
        self._request.expects_continue = False
        return True

    @property
    def is_head_request(self) -> bool:
        """Whether an error about the request at hand must have no body, because it is a HEAD."""
        return self._is_head_request or self._buffer.startswith(b"HEAD ")

    def next_request(self) -> Request | None:
        """The next request with its body; None until it is whole. Raises BadRequest."""
        if self._request is None:
            head = self._take_head()
            if head is None:
                return None
            self._is_head_request = head.startswith(b"HEAD ")
            self._request = parse_head(head, self._base_environ)
        request = self._request
        if len(self._buffer) < request.content_length:
            return None
        if request.content_length:
            request.add_body(self._take(request.content_length))
        self._request = None
        return request

    def _take_head(self) -> bytes | None:
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # some clients end a body so (RFC 9112, 2.2)
            del buffer[:2]
            self._searched = 0
        end = buffer.find(_END_OF_HEAD, self._searched) + len(_END_OF_HEAD)
        if end < len(_END_OF_HEAD):
            self._require_hope()
            self._searched = max(0, len(buffer) - len(_END_OF_HEAD) + 1)
            return None
        if end > MAX_HEAD_BYTES:
            raise BadRequest(431, _TOO_LONG)
        self._searched = 0
        return self._take(end)

    def _require_hope(self) -> None:
        """Raises BadRequest when no bytes to come could make a head of the buffer."""
        if _BARE_LINE_FEED.search(self._buffer, self._searched):
            raise BadRequest(400, "a line of the head ends with a bare LF")
        if len(self._buffer) > MAX_HEAD_BYTES:
            raise BadRequest(431, _TOO_LONG)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken
