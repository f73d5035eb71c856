"""A connection as the worker sees it: its state, what has come of it, and what is not sent yet."""

import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from server.reader import RequestReader
from server.request import Request
from server.response import Response

RECEIVE_BYTES = 64 * 1024


class State(Enum):
    """Whose turn it is, and for what. docs/architecture.md has the picture."""

    IDLE = auto()  # between two requests: nothing of the next has come
    READING = auto()  # a part of a request has come
    ANSWERING = auto()  # the app has a request
    WRITING = auto()  # the client has not taken all of a response
    LINGERING = auto()  # our side is closed; the client may still read our last words
    CLOSED = auto()


@dataclass(slots=True)
class RequestCycle:
    """A request that the app has, and its response under way."""

    request: Request
    response: Response = field(default_factory=Response)
    answer: Any = ()  # of the app: an iterable of the body's parts


class Connection:
    """The state of one connection. Nothing here waits; the worker does."""

    def __init__(self, sock: socket.socket, client: object, reader: RequestReader) -> None:
        self.sock = sock
        self.client = client  # the host, for the log
        self.reader = reader
        self.outbox = bytearray()
        self.cycle: RequestCycle | None = None  # None again as soon as it is answered: a page is large
        self.state = State.IDLE
        self.since = time.monotonic()  # of the state
        self.deadline: float | None = None  # of the state, by the monotonic clock; None while it is our turn
        self.watched = 0  # the events for which the worker waits
        self.has_ended = False  # the client sends no more
        self.closes = False  # behind what is in the outbox

    def enter(self, state: State, timeout_s: float | None) -> None:
        """The only place where the state changes. The client has `timeout_s` to end it; None when it is our turn."""
        self.state = state
        self.since = time.monotonic()
        self.deadline = None if timeout_s is None else self.since + timeout_s

    @property
    def eviction_key(self) -> tuple[bool, float]:
        """Sort key for eviction: idle connections first, then by the time in their state."""
        return (self.state is not State.IDLE, self.since)

    def receive(self) -> bool:
        """Take what has come. False when nothing has. Raises OSError."""
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        self.has_ended = not data
        if self.state is not State.LINGERING:  # nobody reads what comes after our end
            self.reader.feed(data)
        return True

    def transmit(self) -> bool:
        """Send what the client takes. Whether that was all. Raises OSError."""
        with suppress(BlockingIOError):
            del self.outbox[: self.sock.send(self.outbox)]
        return not self.outbox
