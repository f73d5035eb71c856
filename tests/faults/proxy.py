"""A TCP proxy between two tiers that delays, cuts, doubles or loses HTTP messages, as a bad network does."""

import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Literal, Self

Fault = Literal["none", "reply lost", "late", "twice", "request cut", "reply cut", "trickled"]

# The number of exchanges with each fault, of 20. A reply is lost after the commit; a late one comes after the deadline.
BAD_NETWORK: Mapping[Fault, int] = {
    "none": 6,
    "reply lost": 6,
    "late": 4,
    "twice": 1,
    "request cut": 1,
    "reply cut": 1,
    "trickled": 1,
}
TRICKLE_EVERY_S = 0.001
# The longest wait for a tier: a stopped one must not block the proxy for ever.
UPSTREAM_TIMEOUT_S = 30.0


class Proxy:
    """Listens on `port` and forwards to `upstream_port`. Use it as a context manager.

    The faults are drawn from a shuffled deck. `late_s` is the delay of a late reply. `done` counts the faults so far.
    """

    def __init__(self, upstream_port: int, *, late_s: float, seed: int) -> None:
        self._upstream = ("127.0.0.1", upstream_port)
        self._late_s = late_s
        self._rng = random.Random(seed)
        self._deck = self._shuffled(BAD_NETWORK)  # each fault once first, because there may be few exchanges
        self._mutex = threading.Lock()
        self._is_mended = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.done: Counter[Fault] = Counter()
        self._ended = threading.Event()
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        for sock in (self._listener, *self._clients):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits on it
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def mend(self) -> None:
        """Ends all faults: from now on every exchange is forwarded unchanged."""
        self._is_mended = True

    def _draw(self) -> Fault:
        """Returns the fault of the next exchange."""
        with self._mutex:
            if self._is_mended:
                return "none"
            if not self._deck:
                self._deck = self._shuffled(fault for fault, times in BAD_NETWORK.items() for _ in range(times))
            fault = self._deck.pop()
            self.done[fault] += 1
            return fault

    def _shuffled(self, faults: Iterable[Fault]) -> list[Fault]:
        deck = list(faults)
        self._rng.shuffle(deck)
        return deck

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        # An OSError ends the connection: a side closed it, a fault cut it, or the proxy stops.
        with client, client.makefile("rb") as stream, suppress(OSError):
            while request := _message(stream):
                self._exchange(self._draw(), request, client)

    def _exchange(self, fault: Fault, request: bytes, client: socket.socket) -> None:
        """Forwards one request and its reply with this fault. Raises ConnectionError when the fault cuts them."""
        if fault == "request cut":
            self._send(request[: len(request) // 2]).close()
            _reset(client)
        first = self._send(request) if fault == "twice" else None
        reply = self._call(request)
        if first is not None:
            first.close()
        match fault:
            case "reply lost":
                _reset(client)
            case "reply cut":
                client.sendall(reply[: len(reply) // 2])
                _reset(client)
            case "late":
                self._ended.wait(self._late_s)
                client.sendall(reply)
            case "trickled":
                for at in range(len(reply)):
                    client.sendall(reply[at : at + 1])
                    self._ended.wait(TRICKLE_EVERY_S)
            case _:
                client.sendall(reply)

    def _call(self, request: bytes) -> bytes:
        with self._send(request) as upstream, upstream.makefile("rb") as stream:
            return _message(stream)

    def _send(self, data: bytes) -> socket.socket:
        upstream = socket.create_connection(self._upstream, timeout=UPSTREAM_TIMEOUT_S)
        upstream.sendall(data)
        return upstream


def _message(stream: BinaryIO) -> bytes:
    """Reads one whole HTTP message by its Content-Length. Returns nothing at the end of the connection."""
    head, length = b"", 0
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + stream.read(length)


def _reset(client: socket.socket) -> None:
    """Raises ConnectionResetError, which closes the connection: with a RST, as after a crash or by a firewall."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError
