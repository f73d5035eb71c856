"""A server that answers as a test wants it to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:
        pass


@contextmanager
def answering(answer: Callable[[Request], Response], certificate: Path | None = None) -> Iterator[int]:
    """The port of a server on loopback that gives each request this answer. It ends with the block.

    With a certificate, a file that has its key too, it speaks https.
    """
    server = make_server(
        "127.0.0.1",
        0,
        Request.application(answer),
        threaded=True,
        request_handler=_Quiet,
        ssl_context=(str(certificate), None) if certificate else None,
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
