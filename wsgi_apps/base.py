"""The framework of the tiers: the URL map matches a request, an endpoint answers it, and the answer is sent as JSON.

An endpoint returns a Reply or a Deferred (wsgi_apps/reply.py), or raises an error. Only this module turns errors into
replies.
"""

import json
import logging
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from werkzeug import routing
from werkzeug.exceptions import HTTPException, LengthRequired, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import BaseConverter, Map
from werkzeug.utils import cached_property
from werkzeug.wrappers import Request as WerkzeugRequest

from domain.errors import Invalid, StoreError, Unavailable
from domain.limits import MAX_BODY_BYTES
from domain.values import Buy, parse_key, parse_name, parse_quantity, parse_whole_number
from wsgi_apps.errors import encode_error, status_of
from wsgi_apps.ready import Readiness
from wsgi_apps.reply import JSON, Deferred, Reply, Stream
from wsgi_apps.roles import owner_only

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

T = TypeVar("T")

# Messages about a body, which the store's own server sends. The app sends them under servers that accept such a body.
BODY_TOO_LARGE = f"the body is larger than {MAX_BODY_BYTES // 1024} KiB"
BODY_TOO_SHORT = "the body is shorter than its Content-Length"
BODY_WITHOUT_LENGTH = "a body needs a Content-Length; a chunked body is not accepted"
# The cache of matches is limited, because strangers choose the paths. With four bytes a character, a worker's
# cache takes at most 4 MiB.
MAX_CACHED_MATCHES = 2_048
MAX_CACHED_CHARACTERS = 256
# The Retry-After of an Unavailable that has none of its own.
RETRY_AFTER_S = 1
# Some clients cannot send a POST without a body, and send an empty object.
EMPTY_BODIES = (b"", b"{}")
# The most parameters of a query string, and the most fields of a form.
MAX_PAIRS = 20
# The media type of a form that a page sends.
FORM = "application/x-www-form-urlencoded"
# nosniff: a browser must not run a response as a script, whatever a product's name looks like. no-store: a shared cache
# would show an old stock.
COMMON_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_NO_HEADERS: Mapping[str, str] = {}
_STATUS_LINES = {status: f"{status} {reason.upper()}" for status, reason in HTTP_STATUS_CODES.items()}

_log = logging.getLogger(__name__)
_to_json = json.JSONEncoder(ensure_ascii=False).encode


def new_key() -> str:
    """Returns an idempotency key of 32 hexadecimal digits that nobody can guess.

    The key begins with the time, like a UUID of version 7, so new keys stand side by side in the indexes of both
    databases. Behind 20,000 orders, a commit of 16 more writes 6 pages and not 24.
    """
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


class Request(WerkzeugRequest):
    """A request, with properties that parse its headers and its body."""

    @property
    def given_key(self) -> str | None:
        """The client's idempotency key; None when it sent none. Raises Invalid."""
        text: str | None = self.environ.get("HTTP_IDEMPOTENCY_KEY")
        if text is None:
            return None
        if "," in text:  # servers and proxies join two headers of one name by a comma
            raise Invalid("the Idempotency-Key stands twice or has a comma")
        return parse_key(text)

    @cached_property  # functools' takes a lock in Python 3.11
    def idempotency_key(self) -> str:
        """The key of a buy: the client's, or a new one. Raises Invalid."""
        return self.given_key or new_key()

    def buy(self, name: str, quantity: str) -> Buy:
        """Returns the buy that the path names. Raises Invalid, also for a body, which might ask for something else."""
        if self.whole_body.strip() not in EMPTY_BODIES:
            raise Invalid("the request has a body, and a buy takes none: product and quantity stand in the path")
        product, pieces = parse_name(name), parse_quantity(quantity)
        return Buy(self.idempotency_key, product, pieces)

    @cached_property
    def whole_body(self) -> bytes:
        """The body. Raises Invalid when it is shorter than its Content-Length, HTTPException when it is not allowed."""
        # Werkzeug would cut a chunked body at the limit without an error, so a chunked body is refused.
        if "HTTP_TRANSFER_ENCODING" in self.environ:
            raise LengthRequired
        length = parse_whole_number(self.environ.get("CONTENT_LENGTH") or "0")
        if length is None or length > MAX_BODY_BYTES:  # None: too many digits
            raise RequestEntityTooLarge
        if not length:
            return b""
        body = self.environ["wsgi.input"].read(length)
        if len(body) < length:
            raise Invalid(BODY_TOO_SHORT)
        return bytes(body)

    def parameters(self, *names: str) -> dict[str, str]:
        """Returns the query string's parameters. Raises Invalid for a name outside `names` and for a repeated name."""
        return _decode_pairs(self.environ.get("QUERY_STRING", ""), names, "query string", "parameter")

    def query_field(self, name: str) -> str:
        """Returns one parameter, whatever else the query string has; empty without it, and if that is not UTF-8."""
        return _find_value(self.environ.get("QUERY_STRING", ""), name)

    def has_etag(self, etag: str) -> bool:
        """Whether the client has the content with this ETag (If-None-Match). A proxy may have made it a weak one."""
        return "HTTP_IF_NONE_MATCH" in self.environ and self.if_none_match.contains_weak(etag.strip('"'))

    @property
    def has_form(self) -> bool:
        """Whether the body is a form, as a page in a browser sends it."""
        return self.mimetype == FORM

    def form_fields(self, *names: str) -> dict[str, str]:
        """Returns the fields of the form in the body. Raises Invalid, also for a body of another type."""
        if not self.has_form:
            raise Invalid(f"the body is not a form ({FORM})")
        return _decode_pairs(self.form_text, names, "form", "field")

    def form_field(self, name: str) -> str:
        """Returns one field of the form, whatever else the form has; empty without it, and if that is not UTF-8."""
        return _find_value(self.form_text, name) if self.has_form else ""

    @property
    def form_text(self) -> str:
        """The body of a form, percent-encoded."""
        # Form bodies are ASCII, with percent signs; parse_qsl reports other bytes as not UTF-8.
        return self.whole_body.decode("latin-1")

    @property
    def wants_page(self) -> bool:
        """Whether a browser asks, which takes a page. Programs get JSON."""
        return "text/html" in self.environ.get("HTTP_ACCEPT", "")


def _decode_pairs(text: str, names: tuple[str, ...], place: str, kind: str) -> dict[str, str]:
    """Returns percent-encoded pairs as a dict. Raises Invalid, which calls the text `place` and a pair `kind`."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PAIRS)
    except UnicodeDecodeError:
        raise Invalid(f"the {place} is not UTF-8") from None
    except ValueError:
        raise Invalid(f"the {place} has too many {kind}s") from None
    values = dict(pairs)
    if unknown := values.keys() - set(names):
        raise Invalid(f"unknown {kind} {min(unknown)!r}; known: {', '.join(names)}")
    if len(values) < len(pairs):
        raise Invalid(f"a {kind} stands twice")
    return values


def _find_value(text: str, name: str) -> str:
    """Returns the value of this name in percent-encoded pairs; empty without it, and where it stands twice."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PAIRS)
    except ValueError:
        return ""
    values = [value for key, value in pairs if key == name]
    return values[0] if len(values) == 1 else ""


class Rule(routing.Rule):
    """A rule of a URL map. Unless `takes_query`, a request with a query string is refused.

    With `owner`, all requests but the owner's are refused (wsgi_apps/roles.py).
    """

    def __init__(
        self, path: str, *, methods: Iterable[str], endpoint: Any, takes_query: bool = False, owner: bool = False
    ) -> None:
        super().__init__(path, methods=methods, endpoint=owner_only(endpoint) if owner else endpoint)
        self.takes_query = takes_query


class Rest(BaseConverter):
    """The rest of a path, which may have slashes."""

    regex = ".+"
    part_isolating = False


class Segment(BaseConverter):
    """One segment of a path. It may be empty: the endpoint then answers with the proper error."""

    regex = "[^/]*"


class App:
    """A tier's WSGI app. `rules` are its URL map; each names its endpoint.

    `/health` calls `probe`, which reads the tier's state and raises when the tier cannot serve. `/ready` asks
    `readiness`, which also checks what the tier depends on; by default that is nothing.
    """

    def __init__(self, rules: Iterable[Rule], probe: Callable[[], object], readiness: Readiness | None = None) -> None:
        self._probe = probe
        self._readiness = readiness or Readiness({}, timeout_s=0.0)
        self.url_map = Map(
            [
                *rules,
                Rule("/health", methods=["GET"], endpoint=self._health),
                Rule("/ready", methods=["GET"], endpoint=self._ready),
            ],
            converters={"default": Segment, "rest": Rest},
            merge_slashes=False,  # with True, Werkzeug answers '//' with a redirect in HTML
        )
        urls = self.url_map.bind("")
        # Cached, because a match takes 5 of the 22 µs from a query's head to its response. A path always has one match.
        self._match = lru_cache(MAX_CACHED_MATCHES)(lambda path, method: urls.match(path, method, return_rule=True))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)

        def respond(reply: Reply) -> Iterable[bytes]:
            # The response has the key even if it is an error: the client needs the key to repeat the buy.
            has_key = "idempotency_key" in vars(request)
            headers = {"Idempotency-Key": request.idempotency_key} if has_key else _NO_HEADERS
            return send(reply, environ, start_response, headers)

        match self._catch_errors(request, lambda: self.answer(request)):
            case Deferred() as deferred:
                return deferred.respond_with(lambda wait: respond(self._catch_errors(request, wait)))
            case reply:
                return respond(reply)

    def answer(self, request: Request) -> Reply | Deferred[Any]:
        """Matches the path and calls its endpoint. Raises for a body or a query string that is not allowed.

        A tier that admits some requests alone overrides it.
        """
        _ = request.whole_body  # on every path, raises for a body that is not allowed
        path = _path(request)
        match = self._match if len(path) <= MAX_CACHED_CHARACTERS else self._match.__wrapped__
        rule, values = match(path, request.method)
        if request.environ.get("QUERY_STRING") and not (isinstance(rule, Rule) and rule.takes_query):
            raise Invalid("the request has a query string, and this path takes none")
        result: Reply | Deferred[Any] = rule.endpoint(request, **values)
        return result

    def _catch_errors(self, request: Request, call: Callable[[], T]) -> T | Reply:
        """Returns the result of `call`, or the reply for its error."""
        try:
            return call()
        except StoreError as error:
            headers = None
            if isinstance(error, Unavailable):
                headers = {"Retry-After": str(error.retry_after_s or RETRY_AFTER_S)}
            return self.show_error(request, error_reply(status_of(error), error.message, headers))
        except HTTPException as error:
            return self.show_error(request, _http_error_reply(error))
        except Exception:
            # Strangers see "internal error" and an id. The log has the traceback, under the same id.
            request_id = uuid.uuid4().hex
            _log.exception("request %s: %s %r", request_id, request.method, request.environ.get("PATH_INFO"))
            return self.show_error(request, error_reply(500, "internal error", {"X-Request-Id": request_id}))

    def show_error(self, request: Request, error: Reply) -> Reply:
        """Returns the reply for an error, which is JSON. A tier with pages overrides this for requests of a page."""
        return error

    def _health(self, _request: Request) -> Reply:
        self._probe()
        return Reply({"data": {"status": "ok"}})

    def _ready(self, _request: Request) -> Deferred[Any]:
        return self._readiness.reply()


def nothing() -> None:
    """Probes nothing: that the process answers is what /health tells then."""


def error_reply(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Returns the reply for an error, in the form of all errors but the few with a documented form of their own."""
    return Reply(encode_error(status, message), status, headers)


def _path(request: Request) -> str:
    """Returns the decoded path. Raises Invalid.

    WSGI carries the bytes of the path as Latin-1. Werkzeug's own `path` would replace bytes that are not UTF-8, and so
    change a name.
    """
    raw: str = request.environ.get("PATH_INFO", "")
    try:
        path = raw.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise Invalid("the path is not UTF-8") from None
    if path.startswith("//"):  # the URL map would drop the first slash, and with it the empty name
        raise Invalid("the path starts with '//': a name is empty")
    return path


def _http_error_reply(error: HTTPException) -> Reply:
    """Returns the reply for an error of Werkzeug."""
    match error:
        case MethodNotAllowed():
            allowed = ", ".join(sorted(error.valid_methods or ()))
            return error_reply(405, f"method not allowed; allowed: {allowed}", {"Allow": allowed})
        case LengthRequired():
            return error_reply(411, BODY_WITHOUT_LENGTH)
        case RequestEntityTooLarge():
            return error_reply(413, BODY_TOO_LARGE)
    return error_reply(error.code or 500, error.name.lower())


def send(
    reply: Reply, environ: "WSGIEnvironment", start_response: "StartResponse", headers: Mapping[str, str] = _NO_HEADERS
) -> Iterable[bytes]:
    """Starts the response and returns its body. The response to a HEAD has its length and no body.

    A line end after JSON keeps a terminal's prompt on a line of its own. The response is plain WSGI, because a Werkzeug
    Response would take a third of the time that the app spends on a query (11 of 33 µs).
    """
    if isinstance(reply.body, Stream):
        start_response(_STATUS_LINES[reply.status], _stream_headers(reply, headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else reply.body.chunks
    body = reply.body if isinstance(reply.body, bytes) else _to_json(reply.body).encode()
    if reply.content_type == JSON:
        body += b"\n"
    lines = [("Content-Type", reply.content_type), ("Content-Length", str(len(body)))]
    lines += (COMMON_HEADERS if reply.headers is None else {**COMMON_HEADERS, **reply.headers}).items()
    lines += headers.items()
    if reply.status == 304:  # it has no body, and its length would be that of the body that the client has
        del lines[:2]
    start_response(_STATUS_LINES[reply.status], lines)
    return [] if environ["REQUEST_METHOD"] == "HEAD" or reply.status == 304 else [body]


def _stream_headers(reply: Reply, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Returns the headers of a body whose length is not known."""
    return list({"Content-Type": reply.content_type, **COMMON_HEADERS, **(reply.headers or {}), **headers}.items())
