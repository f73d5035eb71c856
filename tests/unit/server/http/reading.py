"""Reads the requests of a connection as the server does: in pieces, until one is refused or closes the connection."""

import io
from collections.abc import Iterable
from dataclasses import dataclass

from server.reader import RequestReader
from server.request import BadRequest

BASE_ENVIRON = {"SCRIPT_NAME": "", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO()}
# The next request on the connection of a request under test.
WHALE = b"GET /products/Whale HTTP/1.1\r\nHost: whale\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Read:
    """A request as the server reads it. `headers` come from its environ, without the prefix HTTP_."""

    method: str
    target: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The requests that were read, and the status that refuses the next one.

    The status is None where the connection waits for more bytes, or ends.
    """

    requests: tuple[Read, ...]
    refused: int | None

    @property
    def waits(self) -> bool:
        """Whether more bytes could make one more request."""
        return self.refused is None and all(request.keep_alive for request in self.requests)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(request.target for request in self.requests)


def read_all(pieces: Iterable[bytes]) -> Outcome:
    """Reads a connection whose bytes come in these pieces."""
    reader = RequestReader(BASE_ENVIRON)
    requests: list[Read] = []
    for piece in pieces:
        reader.feed(piece)
        while True:
            try:
                request = reader.next_request()
            except BadRequest as refusal:
                return Outcome(tuple(requests), refusal.status)
            if request is None:
                break
            requests.append(_read(request.environ, request.keep_alive))
            if not request.keep_alive:
                return Outcome(tuple(requests), None)
    return Outcome(tuple(requests), None)


def read(data: bytes) -> Outcome:
    """Reads a connection whose bytes come in one piece."""
    return read_all([data])


def _read(environ: dict[str, object], keep_alive: bool) -> Read:
    headers = {
        key.removeprefix("HTTP_"): str(value) for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT_"))
    }
    content = environ["wsgi.input"]
    return Read(
        str(environ["REQUEST_METHOD"]),
        str(environ["RAW_URI"]),
        str(environ["PATH_INFO"]),
        str(environ["QUERY_STRING"]),
        headers,
        content.read(),  # type: ignore[attr-defined]
        keep_alive,
    )
