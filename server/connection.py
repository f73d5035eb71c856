"""A connection as the worker sees it: what has come and is not read yet, and what is not sent yet."""

import io
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gunicorn.http import get_parser
from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import Unreader

from wsgi_apps.base import MAX_BODY_BYTES

# The request line, the headers and the empty line.
MAX_HEAD_BYTES = 32 * 1024
RECEIVE_BYTES = 64 * 1024

_END_OF_HEAD = b"\r\n\r\n"
# A head with a line that ends so is none, and would never end.
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")


class Inbox(Unreader):
    """What gunicorn's parser reads from, instead of the socket, so that it never waits."""

    late = False

    def feed(self, data: bytes | bytearray) -> None:
        self.buf.seek(0, io.SEEK_END)
        self.buf.write(data)

    def chunk(self, size_hint: int | None = None) -> bytes:
        """There is no more: the client has ended, or let us wait for too long."""
        if self.late:
            raise TimeoutError
        return b""

    def __len__(self) -> int:
        return len(self.buf.getbuffer())


@dataclass(slots=True)
class Exchange:
    """A request under way, as gunicorn has prepared it, and what the app answered."""

    request: Any
    response: Any
    environ: dict[str, Any]
    started: datetime
    answer: Any = None


class Connection:
    """The state of one connection. Nothing here waits; the worker does.

    To gunicorn's Response it is the socket: what is sent to it gathers in the outbox, and leaves in one piece.
    """

    def __init__(self, sock: socket.socket, client: Any, server: Any, cfg: Any) -> None:
        self.sock = sock
        self.client = client
        self.server = server
        self.parser = get_parser(cfg, (), client)
        self.inbox = self.parser.unreader = Inbox()
        self.arrived = bytearray()  # and not given to the parser: it gets one request at a time
        self.outbox = bytearray()
        self.exchange: Exchange | None = None
        self.deadline: float | None = None  # for what the client has to do next, by the monotonic clock; see wait
        self.waits_since = 0.0
        self.watched = 0  # the events for which the worker waits
        self.is_idle = True  # between requests
        self.ended = False  # the client sends no more
        self.closing = False  # once the outbox is sent
        self.parting = False  # our side is closed, the client's not yet
        self.closed = False
        self._searched = 0

    def wait(self, timeout_s: float) -> None:
        """From now on it is the client's turn, for so long."""
        self.waits_since = time.monotonic()
        self.deadline = self.waits_since + timeout_s

    def has_let_us_wait(self, since: float) -> bool:
        """Whether it has been the client's turn since then. It is ours as long as we have a request of it."""
        return self.deadline is not None and self.waits_since < since

    @property
    def expendability(self) -> tuple[bool, float]:
        """The least goes first: between two requests rather than within one, and waited for the longest time."""
        return (bool(self.outbox) or not self.is_idle, self.waits_since)

    def sendall(self, data: bytes) -> None:
        self.outbox += data

    send = sendall

    def transmit(self) -> bool:
        """Send what the client takes. Whether that was all. Raises OSError."""
        with suppress(BlockingIOError):
            del self.outbox[: self.sock.send(self.outbox)]
        return not self.outbox

    def receive(self) -> bool:
        """Take what has come. False when nothing has. Raises OSError."""
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        self.ended = not data
        if not self.parting:  # nobody reads what comes after our end
            self.arrived += data
        return True

    def take_head(self) -> bool:
        """Give the parser the head of the next request, when it is whole, or has no hope to be one. Whether it was."""
        if self.arrived.startswith(b"\r\n"):
            del self.arrived[:2]  # some clients end a body so
        found = self.arrived.find(_END_OF_HEAD, self._searched)
        broken = found < 0 and _BARE_LINE_FEED.search(self.arrived, self._searched) is not None
        if found < 0 and not broken and len(self.arrived) <= MAX_HEAD_BYTES:
            self._searched = max(0, len(self.arrived) - len(_END_OF_HEAD) + 1)
            return False
        self._searched = 0
        self._move(found + len(_END_OF_HEAD) if found >= 0 else len(self.arrived))
        return True

    def take_body(self) -> None:
        """Give the parser what has come of the body, if it has a length."""
        assert self.exchange is not None
        reader = self.exchange.request.body.reader
        if isinstance(reader, LengthReader) and reader.length > len(self.inbox):
            self._move(reader.length - len(self.inbox))

    def _move(self, size: int) -> None:
        self.inbox.feed(self.arrived[:size])
        del self.arrived[:size]

    @property
    def awaits_answer(self) -> bool:
        return self.exchange is not None and self.exchange.answer is not None

    @property
    def body_is_whole(self) -> bool:
        """Whether the whole body is here. One without a length never is."""
        assert self.exchange is not None
        reader = self.exchange.request.body.reader
        return isinstance(reader, LengthReader) and reader.length <= len(self.inbox)

    @property
    def body_may_come(self) -> bool:
        """Whether the rest of the body may still come, and is worth waiting for: the app takes no longer one."""
        assert self.exchange is not None
        reader = self.exchange.request.body.reader
        worth_it = isinstance(reader, LengthReader) and len(self.inbox) < reader.length <= MAX_BODY_BYTES
        return worth_it and not self.ended

    def end_exchange(self) -> None:
        self.exchange = None
        self.is_idle = True
