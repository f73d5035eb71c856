"""A connection frees the memory of its last answer."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from server.connection import State
from tests.support.server_in_thread import GET, ServerInThread, wait_for_states
from wsgi_apps.reply import Deferred, Reply


class PageServer(ServerInThread):
    """A server with large answers, each completed by another thread. `bodies` refers weakly to all of them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.bodies: list[weakref.ref[Any]] = []

    def _app(self, environ: dict[str, Any], start_response: Any) -> Any:
        future: Future[list[bytes]] = Future()

        class Body(list):  # type: ignore[type-arg]
            """A list to which a weak reference is possible."""

        def answer() -> None:
            time.sleep(0.01)  # the event loop waits for it, as for a page
            body = Body([b"x" * 300_000])
            self.bodies.append(weakref.ref(body))
            future.set_result(body)

        threading.Thread(target=answer).start()

        def respond() -> list[bytes]:
            start_response("200 OK", [("Content-Length", "300000")])
            return future.result()

        return Deferred(future, Reply).respond_with(lambda _wait: respond())

    def bodies_in_memory(self) -> int:
        """Returns the number of bodies that are not freed."""
        return sum(reference() is not None for reference in self.bodies)


@pytest.fixture
def pages() -> Iterator[PageServer]:
    server = PageServer()
    yield server
    server.held.set_result(None)
    server.stop()


def read_page(connection: Any) -> None:
    """Reads a whole reply."""
    reply = b""
    while len(reply.partition(b"\r\n\r\n")[2]) < 300_000:
        data = connection.recv(65536)
        assert data
        reply += data


def test_an_idle_connection_keeps_no_memory_of_the_last_answer(pages: PageServer) -> None:
    """Otherwise a client with 1,000 connections and a page on each would keep 300 MB of a worker for 75 s or longer."""
    with pages.connect() as connection:
        connection.sendall(GET % b"page")
        read_page(connection)
        wait_for_states(pages, State.IDLE)
        gc.collect()
        assert pages.bodies_in_memory() == 0


def test_a_closed_connection_frees_its_answer_without_the_garbage_collector(pages: PageServer) -> None:
    """The collector comes late: it counts objects, not bytes, and a tier makes 25,000 between two full collections."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            with pages.connect() as connection:
                connection.sendall(GET % b"page")
                read_page(connection)
            wait_for_states(pages)
        assert pages.bodies_in_memory() <= 1
    finally:
        gc.enable()
