"""Sends queries and buys to the store over HTTP, and retries while a tier restarts.

Another server may answer at the store's address. Each answer is therefore checked, shortened, and escaped for the
terminal.
"""

import re
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from conf.output import visible
from conf.settings import PATIENCE_S
from domain.errors import Invalid
from domain.values import Product, parse_name

T = TypeVar("T")

# The deadline where nothing listens and nothing has ever answered: the store is then not running, rather than
# restarting.
FIRST_DEADLINE_S = 2.0
CONNECTION_REFUSED = "connection refused"
_PAUSE_S = 0.2  # between two tries

# A message is cut to this length: it may come from any server.
MAX_MESSAGE_CHARACTERS = 300
PAGE_LIMIT = 1000
# The store's own message for a 429 advises to repeat the key, but this program uses a new key for each buy.
THROTTLED = "throttled, because too many buys were refused lately"

# OpenSSL's message for a certificate that is expired, of another host, or not signed by a trusted authority.
_BAD_CERTIFICATE = re.compile(r"certificate verify failed: ([^(]+)")


class StoreDown(Exception):
    """The store did not answer, or cannot serve. The message has its address and says what to do."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer to a query: the product, or in `outcome` the reason why there is none."""

    outcome: str
    product: Product | None = None


@dataclass(frozen=True, slots=True)
class BuyResult:
    """The answer to a buy: its key, and the order number, or in `outcome` the reason why there is none."""

    outcome: str
    key: str
    number: int | None = None


class Shop:
    """One shopper: a session of kept-alive connections. Not thread-safe.

    A request is retried for `patience_s`, a buy always under its own key. Then the store counts as down.
    """

    def __init__(self, url: str, stop: threading.Event, patience_s: float = PATIENCE_S) -> None:
        self._url = url
        self._patience_s = patience_s
        self._stop = stop
        self._has_answered = False
        self._session = requests.Session()
        self._session.trust_env = False  # requests would otherwise use a proxy from the environment
        if url.startswith("https://"):
            self._session.mount("https://", _SystemCertificates())

    def products(self, limit: int = PAGE_LIMIT) -> Iterator[Product]:
        """Yields all products by name. Requests them lazily, in pages of `limit`, 1 to 1000. Raises StoreDown."""
        parameters: dict[str, Any] = {"limit": limit}
        while True:
            response = self._request("GET", "/products", parameters=parameters)
            page, after = self._decode(response, lambda body: (list(map(_product, body["data"])), body["next"]))
            yield from page
            if after is None:
                return
            parameters["after"] = after

    def query(self, name: str) -> QueryResult:
        """Returns the product, or the reason why there is none. Raises StoreDown."""
        response = self._request("GET", f"/products/{quote(name, safe='')}")
        if response.status_code == 200:
            return QueryResult("found", self._decode(response, lambda body: _product(body["data"])))
        return QueryResult(self._decode(response, _error_message))

    def buy(self, name: str, quantity: int) -> BuyResult:
        """Buys once, under a new key, however often the request is sent. Raises StoreDown."""
        path, key = f"/{quote(name, safe='')}/{quantity}", str(uuid.uuid4())
        response = self._request("POST", path, headers={"Idempotency-Key": key})
        if response.status_code == 200:
            number = self._decode(response, lambda body: int(body["data"]["order_number"]))
            return BuyResult("bought", key, number)
        message = self._decode(response, _error_message)
        return BuyResult(THROTTLED if response.status_code == 429 else message, key)

    def price_cents(self, number: int, key: str) -> int | None:
        """Returns the price of one piece in the order of this key; None when the store does not answer with it."""
        try:
            response = self._request("GET", f"/orders/{number}", headers={"Idempotency-Key": key})
            if response.status_code == 200:
                return self._decode(response, lambda body: _cents(body["data"]["price"]))
        except StoreDown:  # the buy has succeeded; only its report lacks the price
            pass
        return None

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def _decode(self, response: requests.Response, decode: Callable[[Any], T]) -> T:
        """Returns the value in a response. Raises StoreDown when the body is not one of this store."""
        try:
            return decode(response.json())
        except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError, Invalid):
            raise StoreDown(f"the server at {self._url} is not this store") from None

    def _request(
        self,
        method: str,
        path: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        """Returns a response whose status is below 500, and retries until it gets one.

        Raises StoreDown when none came in time, and when the series was stopped.
        """
        begun = time.monotonic()
        while True:
            remaining_s = max(0.1, begun + self._patience_s - time.monotonic())
            deadline_s = self._patience_s
            try:
                # To follow a redirect would turn the POST of a buy into a GET, and send it to a server that the user
                # has not named.
                response = self._session.request(
                    method,
                    self._url + path,
                    params=parameters,
                    headers=headers,
                    timeout=remaining_s,
                    allow_redirects=False,
                )
                self._has_answered = True
                self._refuse_redirect(response)
                if response.status_code < 500:
                    return response
                why, advice = f"answers: {_server_error(response)}", "try again later"
            except requests.RequestException as error:
                if bad := _BAD_CERTIFICATE.search(str(error)):
                    raise StoreDown(f"the certificate of {self._url} is not to be trusted: {bad[1].strip()}") from None
                reason = _short_reason(error)
                why, advice = f"does not answer ({reason})", "is `make run` running?"
                if reason == CONNECTION_REFUSED and not self._has_answered:
                    deadline_s = min(FIRST_DEADLINE_S, self._patience_s)
            if time.monotonic() + _PAUSE_S > begun + deadline_s or self._stop.wait(_PAUSE_S):
                raise StoreDown(f"the store at {self._url} {why}; {advice}")

    def _refuse_redirect(self, response: requests.Response) -> None:
        if 300 <= response.status_code < 400:
            target = _shorten(response.headers.get("Location", "nowhere"))
            raise StoreDown(
                f"the server at {self._url} redirects to {target} (HTTP {response.status_code}); set FRONT to the "
                "address of the store itself"
            )


class _SystemCertificates(HTTPAdapter):
    """Trusts the certificates of this machine in addition to those that requests bundles."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=ssl.create_default_context())


def _product(value: Any) -> Product:
    return Product(parse_name(value["name"]), _cents(value["price"]), int(value["quantity"]))


def _cents(price: Any) -> int:
    return round(float(price) * 100)


def _error_message(body: Any) -> str:
    return _shorten(str(body["error"]["message"]))


def _server_error(response: requests.Response) -> str:
    """Returns the reason for a 5xx. A proxy before the store may have sent it, in a form of its own."""
    try:
        return _error_message(response.json())
    except (ValueError, LookupError, TypeError, RecursionError):
        return f"HTTP {response.status_code}"


def _shorten(text: str) -> str:
    return visible(text[:MAX_MESSAGE_CHARACTERS]) + (" …" if len(text) > MAX_MESSAGE_CHARACTERS else "")


def _short_reason(error: requests.RequestException) -> str:
    """Returns why a request failed in few words: the messages of requests have its internals."""
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS failed"
    if isinstance(error, requests.ConnectionError):
        return CONNECTION_REFUSED if "refused" in str(error) else "connection failed"
    return _shorten(str(error))
