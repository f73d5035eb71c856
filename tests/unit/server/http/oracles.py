"""Two other parsers behind one interface: h11, and gunicorn's parser in Python.

Each call reads one request from its first byte, and returns the bytes after it.
"""

from dataclasses import dataclass

import h11
from gunicorn.config import Config
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from server.request import MAX_FIELDS, MAX_HEAD_BYTES

STRANGER = ("192.0.2.1", 50_000)  # not this machine, whose forwarding headers gunicorn trusts


@dataclass(frozen=True, slots=True)
class Taken:
    """A whole request, as a parser reads it. `headers` are in their order, with names in lower case."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    rest: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The parser refuses the request."""

    reason: str


@dataclass(frozen=True, slots=True)
class Waits:
    """The parser needs more bytes for a whole request."""


Verdict = Taken | Refused | Waits


def ask_h11(data: bytes) -> Verdict:
    """Reads one request with h11."""
    if not data:
        return Waits()  # h11 takes no bytes for the end of the connection
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    body = bytearray()
    try:
        connection.receive_data(data)
        request = connection.next_event()
        if request is h11.NEED_DATA:
            return Waits()
        assert isinstance(request, h11.Request)
        while isinstance(event := connection.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError as error:
        return Refused(str(error))
    if not isinstance(event, h11.EndOfMessage):
        return Waits()
    return Taken(
        request.method.decode(),
        request.target.decode(),
        request.http_version.decode(),
        tuple((name.decode(), value.decode("latin-1")) for name, value in request.headers),
        bytes(body),
        connection.trailing_data[0],
        connection.their_state is not h11.MUST_CLOSE,
    )


def _gunicorn_settings() -> Config:
    settings = Config()
    settings.set("http_parser", "python")
    settings.set("limit_request_fields", MAX_FIELDS)
    return settings


_SETTINGS = _gunicorn_settings()


def ask_gunicorn(data: bytes) -> Verdict:
    """Reads one request with gunicorn's parser."""
    unreader = IterUnreader([data])
    try:
        request = Request(_SETTINGS, unreader, STRANGER)
        body = request.body.read()
    except (StopIteration, NoMoreData):
        return Waits()
    except ParseException as error:
        return Refused(f"{type(error).__name__}: {error}")
    headers = [(name.lower(), value) for name, value in request.headers]
    if isinstance(request.body.reader, LengthReader) and len(body) < int(dict(headers).get("content-length", 0)):
        return Waits()
    return Taken(
        request.method,
        request.uri,
        "{}.{}".format(*request.version),
        tuple(headers),
        body,
        unreader.take_buffered(),
        not request.should_close(),
    )
