"""Runs an HTTP server whose answers a test gives, and clients of it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from wsgi_apps.tier_client import TierClient

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class _QuietHandler(WSGIRequestHandler):
    """A request handler with keep-alive connections and without a log."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:
        pass


@contextmanager
def stub_server(
    answer: Callable[[Request], Response], certificate: Path | None = None, *, port: int = 0
) -> Iterator[int]:
    """Runs a server on loopback that passes each request to `answer`, and yields its port. It ends with the block.

    With a certificate (a file that also has the key) it serves https. Port 0 is any free one.
    """
    server = make_server(
        "127.0.0.1",
        port,
        Request.application(answer),
        threaded=True,
        request_handler=_QuietHandler,
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
    name: str = "catalog",
    authorization: str | None = None,
    host: str = "127.0.0.1",
    deadline_s: float = 60.0,
    for_owner: bool = False,
) -> Iterator[TierClient]:
    """Runs a stub server, and yields a client of it. The default deadline leaves time to a busy machine."""
    options: dict[str, Any] = {"deadline_s": deadline_s, "authorization": authorization, "for_owner": for_owner}
    with stub_server(answer) as port, closing(TierClient(name, [(host, port)], **options)) as client:
        yield client


def answer_with(status: int, body: object) -> Callable[[Request], Response]:
    """Returns an `answer` that is always this status and JSON body."""
    return lambda _request: Response(json.dumps(body), status, content_type="application/json")


def answer_from(app: "WSGIApplication") -> Callable[[Request], Response]:
    """Returns an `answer` that passes each request to the app of a tier."""
    return lambda request: Response.from_app(app, request.environ, buffered=True)
