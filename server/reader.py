"""Cuts the bytes of a connection into requests. It knows no socket and never blocks."""

import re
from collections.abc import Mapping
from typing import Any

from server.request import MAX_HEAD_BYTES, BadRequest, Request, parse_head

_END_OF_HEAD = b"\r\n\r\n"
# A head whose lines end with a bare LF has no empty line by this grammar. It is refused at once, not after a timeout.
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")


class RequestReader:
    """Reads the requests of one connection, one after the other, however the network has split their bytes.

    It must not be used after BadRequest: the start of the next request is unknown.
    """

    def __init__(self, base_environ: Mapping[str, Any]) -> None:
        self._base_environ = base_environ
        self._buffer = bytearray()
        self._searched = 0  # the head does not end within this many bytes of the buffer
        self._request: Request | None = None  # its head has come, its body has not

    def feed(self, data: bytes) -> None:
        """Adds bytes that have come."""
        self._buffer += data

    @property
    def is_empty(self) -> bool:
        """Whether no byte of the next request has come. Line ends before a request do not count."""
        return self._request is None and (not self._buffer or self._buffer == b"\r")  # half a line end

    @property
    def awaits_body(self) -> bool:
        """Whether the head of a request has come, and its body has not."""
        return self._request is not None

    @property
    def is_head_request(self) -> bool:
        """Whether the current request is a HEAD: then an error about it has no body."""
        return self._buffer.startswith(b"HEAD ") if self._request is None else self._request.is_head

    def take_expectation(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body (RFC 9110, 10.1.1). True only once."""
        if self._buffer or self._request is None or not self._request.expects_continue:
            return False
        self._request.expects_continue = False
        return True

    def next_request(self) -> Request | None:
        """Returns the next request with its body; None until all of it has come. Raises BadRequest."""
        if self._request is None:
            end = self._end_of_head()
            if not end:
                return None
            # A refused head stays in the buffer, for `is_head_request`.
            self._request = parse_head(self._buffer[:end], self._base_environ)
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
        """Returns the length of the head; 0 until it has come. Raises BadRequest for a long head or a bare LF."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # some clients send a line end after a body (RFC 9112, 2.2)
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
