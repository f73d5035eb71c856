"""A tier that answers successive requests with the bytes that a test gives, valid HTTP or not."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from wsgi_apps.tier_client import TierClient

TIMEOUT_S = 60.0
# A final refusal. A client that mistook it for the answer to another buy would refuse that buy for good.
OUT_OF_STOCK = b'{"data": [[404, "out of stock", null]]}\n'
SOLD = b'{"data": [2599]}\n'
# The bytes of a reply, whole or in pieces. None closes the connection.
Answer = bytes | list[bytes | None]


def reply(*lines: bytes, body: bytes = OUT_OF_STOCK, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """Returns a reply with these header lines."""
    return b"\r\n".join([status, *lines, b"", body])


def length(body: bytes = OUT_OF_STOCK) -> bytes:
    """Returns the Content-Length line of a body."""
    return b"Content-Length: %d" % len(body)


class ScriptedTier:
    """A server that answers successive requests with successive `replies`. `pause_s` is the pause between two pieces.

    `requests` has all requests so far, and `connections` all connections, closed ones too.
    """

    def __init__(self, *replies: Answer, pause_s: float = 0.001) -> None:
        self._pause_s = pause_s
        self._replies = list(replies)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT_S)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def close(self) -> None:
        for sock in (self._listener, *self.connections):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self.connections):
            sock.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while request := receive_request(connection):
                self.requests.append(request)
                answer = self._replies.pop(0)
                for number, piece in enumerate(answer if isinstance(answer, list) else [answer]):
                    if piece is None:
                        connection.shutdown(socket.SHUT_RDWR)
                        return
                    if number:
                        time.sleep(self._pause_s)
                    connection.sendall(piece)


def receive_request(connection: socket.socket) -> bytes:
    """Returns the next request; nothing at the end of the connection."""
    request = b""
    while b"\r\n\r\n" not in request:
        if not (data := connection.recv(65536)):
            return b""
        request += data
    head, _, body = request.partition(b"\r\n\r\n")
    missing = sum(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")) - len(body)
    while missing > 0:
        data = connection.recv(missing)
        request += data
        missing -= len(data)
    return request


@contextmanager
def scripted(*replies: Answer, **options: Any) -> Iterator[tuple[ScriptedTier, TierClient]]:
    """Runs a tier with these replies, and yields it and a client of it."""
    with closing(ScriptedTier(*replies)) as script:
        options = {"deadline_s": TIMEOUT_S} | options
        with closing(TierClient("catalog", [("127.0.0.1", script.port)], **options)) as client:
            yield script, client
