"""A server that answers as a test wants it to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from wsgi_apps.tier_client import TierClient


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:
        pass


@contextmanager
def stub_server(answer: Callable[[Request], Response], certificate: Path | None = None) -> Iterator[int]:
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


@contextmanager
def tier(
    answer: Callable[[Request], Response],
    *,
    authorization: str | None = None,
    host: str = "127.0.0.1",
    deadline_s: float = 60.0,
) -> Iterator[TierClient]:
    """A client in front of a server that answers so. Its deadline is one that a busy machine keeps."""
    with stub_server(answer) as port:
        client = TierClient("catalog", host, port, deadline_s=deadline_s, authorization=authorization)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def patient(answer: Callable[[Request], Response], deadline_s: float = 30.0) -> Iterator[TierClient]:
    """The same with another deadline."""
    with (
        stub_server(answer) as port,
        closing(TierClient("catalog", "127.0.0.1", port, deadline_s=deadline_s)) as client,
    ):
        yield client


def says(status: int, body: object) -> Callable[[Request], Response]:
    return lambda _request: Response(json.dumps(body), status, content_type="application/json")
