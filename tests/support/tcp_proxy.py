"""A TCP proxy before a server of PostgreSQL that counts round trips, and loses the answer to a COMMIT."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self


class TcpProxy:
    """Listens on `port` and forwards to `upstream_port`. Use it as a context manager.

    `round_trips` counts how often a client has sent something after it was answered. `connections` counts the clients.
    Once `loses_answers` is set, the server gets what a client sends, and the client a cut connection.
    """

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.round_trips = 0
        self.connections = 0
        self.loses_answers = False
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for sock in (self._listener, *self._sockets):
            _cut(sock)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self._sockets):
            sock.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._upstream_port))
            self._sockets += [client, server]
            exchange = _Exchange(self)
            for source, target, see in ((client, server, exchange.see_request), (server, client, exchange.see_answer)):
                self._threads.append(threading.Thread(target=self._pump, args=(source, target, see)))
                self._threads[-1].start()

    def _pump(self, source: socket.socket, target: socket.socket, see: Callable[[bytes], bool]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not see(data):
                    break
                target.sendall(data)
        _cut(source)
        _cut(target)


class _Exchange:
    """The course of one connection: whether its last request was answered, or is lost."""

    def __init__(self, proxy: TcpProxy) -> None:
        self._proxy = proxy
        self._is_answered = True
        self._is_lost = False

    def see_request(self, data: bytes) -> bool:
        """Whether the server gets the data."""
        if self._is_answered:
            self._proxy.round_trips += 1
            self._is_answered = False
        self._is_lost = self._proxy.loses_answers
        return True

    def see_answer(self, data: bytes) -> bool:
        """Whether the client gets the data."""
        self._is_answered = True
        return not self._is_lost


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
