"""One client connection: its socket, its state, the request under way and the bytes that are not sent yet."""

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
    """The phases of a connection. docs/architecture.md draws the transitions."""

    IDLE = auto()  # no byte of the next request has come
    READING = auto()  # a part of a request has come
    ANSWERING = auto()  # the app has the request
    WRITING = auto()  # a part of the response waits for the client to read
    LINGERING = auto()  # the server sends no more; the client may still read the last response
    CLOSED = auto()


@dataclass(slots=True)
class RequestCycle:
    """A request that the app has got, and the response to it."""

    request: Request
    response: Response = field(default_factory=Response)
    answer: Any = ()  # returned by the app: an iterable of the parts of the body


class Connection:
    """The socket and the state of one connection. No method blocks: the worker's event loop waits for the socket."""

    def __init__(self, sock: socket.socket, client: object, reader: RequestReader) -> None:
        self.sock = sock
        self.client = client  # its host, for the log
        self.reader = reader
        self.outbox = bytearray()  # bytes that are not sent yet
        self.cycle: RequestCycle | None = None  # None after each response, which may be a large page
        self.state = State.IDLE
        self.state_since = time.monotonic()
        self.deadline: float | None = None  # on the monotonic clock; None while the client need not do anything
        self.events = 0  # the events of the socket that the event loop waits for
        self.is_half_closed = False  # the client sends no more
        self.closes_after_send = False

    def enter(self, state: State, timeout_s: float | None) -> None:
        """Changes the state, and gives the client `timeout_s` to end it; None sets no deadline."""
        self.state = state
        self.state_since = time.monotonic()
        self.deadline = None if timeout_s is None else self.state_since + timeout_s

    @property
    def eviction_key(self) -> tuple[bool, float]:
        """Sort key for eviction: idle connections first, then by the time in their state."""
        return (self.state is not State.IDLE, self.state_since)

    def receive(self) -> bool:
        """Reads from the socket. Returns False when nothing has come. Raises OSError."""
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        self.is_half_closed = not data
        if self.state is not State.LINGERING:  # no request is read after the last response
            self.reader.feed(data)
        return True

    def transmit(self) -> bool:
        """Sends as much of the outbox as the socket takes. Returns whether the outbox is empty. Raises OSError."""
        with suppress(BlockingIOError):
            del self.outbox[: self.sock.send(self.outbox)]
        return not self.outbox
