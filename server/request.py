"""Parses the head of a request by a strict grammar after RFC 9112, and makes the WSGI environ.

A head that fits the grammar can be read in one way only; any other head is refused. Chunked bodies are refused, too.
docs/decisions/0006-own-request-grammar.md says why this is a grammar and not a library.
"""

import io
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from domain.limits import MAX_BODY_BYTES
from wsgi_apps.base import BODY_TOO_LARGE, BODY_WITHOUT_LENGTH

# A longer head is refused. The limits of the request line and of a field are gunicorn's defaults.
MAX_HEAD_BYTES = 32 * 1024
MAX_REQUEST_LINE_BYTES = 4_094  # enough for a product: a name of 64 characters takes at most 768 bytes of the path
MAX_FIELDS = 64
MAX_FIELD_BYTES = 8_190

# The possessive quantifiers, ++ and *+, never backtrack, so no head is slow to match.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# No blank before the colon, no folded line, no control character.
_FIELD = rf"{_TOKEN}:[\t\x20-\x7e\x80-\xff]*+\r\n"
_REQUEST_LINE = r"([A-Z]{1,20}) ([\x21-\x7e]++) HTTP/1\.([0-9])\r\n"
_HEAD = re.compile(rf"{_REQUEST_LINE}((?:{_FIELD})*+)\r\n")
_FIRST_LINE = re.compile(_REQUEST_LINE)
_ORIGIN_FORM = re.compile(r"(/[^?#]*+)(?:\?([^#]*+))?")
_HOST_AND_PORT = r"(?:\[[0-9A-Fa-fv:.]+\]|[0-9A-Za-z\-._~%!$&'()*+,;=]*)(?::[0-9]*)?"
_HOST = re.compile(_HOST_AND_PORT)
# The store uses only the path and the query of a URL. wsgi_apps/origin.py checks the Host header instead of its host.
_ABSOLUTE_FORM = re.compile(rf"(?i:https?)://(?=[^/?:]){_HOST_AND_PORT}(/[^?#]*+)?(?:\?([^#]*+))?")
_CONTENT_LENGTH = re.compile(r"[0-9]{1,18}")
# A repeated one is refused, because a proxy in front of the store might use the other of the two.
_SINGLETONS = {
    "HTTP_HOST", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "CONTENT_TYPE", "HTTP_AUTHORIZATION", "HTTP_EXPECT",
}  # fmt: skip
# When one of these codings comes last, the end of the body is unknown (RFC 9112, 6.3).
_ENDLESS_CODINGS = ("gzip", "x-gzip", "deflate", "compress", "x-compress", "identity")


class BadRequest(Exception):
    """A request that the server refuses. The client receives the status and the message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(slots=True)
class Request:
    """A parsed request. `wsgi.input` in its environ is empty until `add_body`."""

    environ: dict[str, Any]
    content_length: int
    keep_alive: bool  # the client wants to keep the connection after the response
    expects_continue: bool  # the client waits for 100 Continue before it sends the body

    def add_body(self, body: bytes) -> None:
        """Puts the body into the environ."""
        self.environ["wsgi.input"] = io.BytesIO(body)

    @property
    def is_head(self) -> bool:
        """Whether this is a HEAD, whose response has no body."""
        return bool(self.environ["REQUEST_METHOD"] == "HEAD")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers, under the names that gunicorn's access log uses."""
        fields = [(key.removeprefix("HTTP_"), value) for key, value in self.environ.items() if key.startswith("HTTP_")]
        return [(name.replace("_", "-"), value) for name, value in fields]


def connection_environ(client: Any, server: Any, *, multiprocess: bool) -> dict[str, Any]:
    """Returns the part of the environ that all requests of a connection share, with the addresses of its socket."""
    client_host, client_port = client[:2] if isinstance(client, tuple) else ("", "")
    # A Unix socket has no host and no port.
    server_host, server_port = server[:2] if isinstance(server, tuple) else ("localhost", "80")
    return {
        "REMOTE_ADDR": client_host,
        "REMOTE_PORT": str(client_port),
        "SERVER_NAME": server_host,
        "SERVER_PORT": str(server_port),
        "SERVER_SOFTWARE": "gunicorn",
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input": io.BytesIO(),
        "wsgi.multithread": True,  # some endpoints run in a thread pool
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
    }


def parse_head(head: bytes | bytearray, base_environ: Mapping[str, Any]) -> Request:
    """Parses a head, with the empty line at its end. The environ of the request is based on `base_environ`.

    Raises BadRequest.
    """
    text = head.decode("latin-1")
    if text.find("\r\n") > MAX_REQUEST_LINE_BYTES:
        raise BadRequest(414, "the request line is too long")
    match = _HEAD.fullmatch(text)
    if match is None:
        raise BadRequest(400, "a header is malformed" if _FIRST_LINE.match(text) else "the request line is malformed")
    method, target, minor, fields = match.groups()
    path, query = _split_target(method, target)
    environ = {
        **base_environ,
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path,
        "QUERY_STRING": query or "",
        "SERVER_PROTOCOL": "HTTP/1.0" if minor == "0" else "HTTP/1.1",
    }
    _add_fields(environ, fields)
    host = environ.get("HTTP_HOST")
    if host is None:
        if minor != "0":
            raise BadRequest(400, "the header Host is missing")
    elif not _HOST.fullmatch(host):
        raise BadRequest(400, "the Host is no host")
    return Request(environ, _content_length(environ), _keep_alive(environ), _expects_continue(environ))


def _split_target(method: str, target: str) -> tuple[str, str | None]:
    """Returns the path and the query of a request target. Raises BadRequest."""
    if target == "*" and method == "OPTIONS":
        return target, None
    match = _ORIGIN_FORM.fullmatch(target) or _ABSOLUTE_FORM.fullmatch(target)
    if match is None or method == "CONNECT":  # CONNECT asks for a tunnel
        raise BadRequest(400, "the target of the request is malformed")
    return match[1] or "/", match[2]


@lru_cache(maxsize=128)  # small, because clients choose the names, each of up to 8 KiB
def _environ_key(name: str) -> str | None:
    """Returns the WSGI key of a header; None for a name with an underscore, which would equal one with a hyphen."""
    if "_" in name:
        return None
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"


def _add_fields(environ: dict[str, Any], fields: str) -> None:
    """Adds the headers to the environ, joining repeated ones. Raises BadRequest."""
    lines = fields.split("\r\n")[:-1]
    if len(lines) > MAX_FIELDS:
        raise BadRequest(431, f"the request has more than {MAX_FIELDS} headers")
    if len(fields) > MAX_FIELD_BYTES and max(map(len, lines)) + len("\r\n") > MAX_FIELD_BYTES:
        raise BadRequest(431, f"a header is longer than {MAX_FIELD_BYTES} bytes")
    for line in lines:
        name, _, value = line.partition(":")
        key = _environ_key(name)
        if key is None:
            continue
        value = value.strip(" \t")
        if key not in environ:
            environ[key] = value
        elif key in _SINGLETONS:
            raise BadRequest(400, f"the header {name} stands twice")
        else:
            environ[key] += f"{'; ' if key == 'HTTP_COOKIE' else ','}{value}"


def _content_length(environ: Mapping[str, Any]) -> int:
    """Returns the length of the body. Raises BadRequest for a body that is too long, or whose end is unknown."""
    text = environ.get("CONTENT_LENGTH")
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    if coding is not None:
        if text is not None:
            raise BadRequest(400, "a body has a Content-Length or a Transfer-Encoding, never both")
        *inner, last = [part.strip(" \t") for part in coding.lower().split(",")]
        if last in _ENDLESS_CODINGS or "chunked" in inner or environ["SERVER_PROTOCOL"] == "HTTP/1.0":
            raise BadRequest(400, "the Transfer-Encoding does not tell where the body ends")
        raise BadRequest(411, BODY_WITHOUT_LENGTH)
    if text is None:
        return 0
    if not _CONTENT_LENGTH.fullmatch(text):
        raise BadRequest(400, "the Content-Length is malformed")
    if (length := int(text)) > MAX_BODY_BYTES:
        raise BadRequest(413, BODY_TOO_LARGE)
    return length


def _keep_alive(environ: Mapping[str, Any]) -> bool:
    """Returns whether the client wants to keep the connection. HTTP/1.1 does by default, HTTP/1.0 does not."""
    is_default: bool = environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    connection = environ.get("HTTP_CONNECTION")
    if connection is None:
        return is_default
    options: set[str] = {option.strip(" \t") for option in connection.lower().split(",")}
    return "close" not in options and (is_default or "keep-alive" in options)


def _expects_continue(environ: Mapping[str, Any]) -> bool:
    """Returns whether the client waits for 100 Continue. Raises BadRequest for another expectation."""
    expectation = environ.get("HTTP_EXPECT")
    if expectation is None or environ["SERVER_PROTOCOL"] == "HTTP/1.0":
        return False
    if expectation.lower() != "100-continue":
        raise BadRequest(417, "the store knows no expectation but 100-continue")
    return True
