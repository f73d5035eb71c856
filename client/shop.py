"""The store as a shopper's program sees it: a query, a buy, and patience while a tier restarts.

What answers need not be the store. Whatever it says is checked, shortened, and shown as text that does nothing.
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
from domain.errors import Invalid
from domain.values import Product, parse_name

T = TypeVar("T")

# For how long a request is repeated, a buy always under its own key, before the store counts as down.
PATIENCE_S = 10.0
# Where nothing listens and nothing ever answered, the store is more likely not running than restarting.
FIRST_PATIENCE_S = 2.0
REFUSED = "connection refused"
_PAUSE_S = 0.2

# Of another server's words: more is no reason any more.
MAX_MESSAGE_CHARACTERS = 300
PAGE_LIMIT = 1000
# A 429 says to ask again with the same key, and this program has a new one for each buy.
PUT_OFF = "put off, for too many buys were refused lately"

# OpenSSL says so when a certificate is not one of this host, not valid any more, or signed by a stranger.
_BAD_CERTIFICATE = re.compile(r"certificate verify failed: ([^(]+)")


class StoreDown(Exception):
    """The store gave no answer, or none that serves; the message says where it was asked and what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a query: the product, or the reason why there is none."""

    outcome: str
    product: Product | None = None


@dataclass(frozen=True, slots=True)
class Bought:
    """The answer to a buy: the number of its order, or the reason why there is none. `key` is the buy's own."""

    outcome: str
    key: str
    number: int | None = None


class Shop:
    """One shopper: a session of kept-alive connections. Not for use by several threads at once."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        self._url = url
        self._stop = stop
        self._met = False
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between a shopper and this store
        if url.startswith("https://"):
            self._session.mount("https://", _SystemCertificates())

    def products(self, limit: int = PAGE_LIMIT) -> Iterator[Product]:
        """All products by name, asked for in pages of `limit`, 1 to 1000, as they are needed. Raises StoreDown."""
        parameters: dict[str, Any] = {"limit": limit}
        while True:
            response = self._ask("GET", "/products", parameters=parameters)
            page, after = self._read(response, lambda body: (list(map(_product, body["data"])), body["next"]))
            yield from page
            if after is None:
                return
            parameters["after"] = after

    def query(self, name: str) -> Found:
        """The product, or why there is none. Raises StoreDown."""
        response = self._ask("GET", f"/products/{quote(name, safe='')}")
        if response.status_code == 200:
            return Found("found", self._read(response, lambda body: _product(body["data"])))
        return Found(self._message(response))

    def buy(self, name: str, quantity: int) -> Bought:
        """Buy once, under a new key, however often it has to be sent. Raises StoreDown."""
        path, key = f"/{quote(name, safe='')}/{quantity}", str(uuid.uuid4())
        response = self._ask("POST", path, headers={"Idempotency-Key": key})
        if response.status_code == 200:
            number = self._read(response, lambda body: int(body["data"]["order_number"]))
            return Bought("bought", key, number)
        message = self._message(response)
        return Bought(PUT_OFF if response.status_code == 429 else message, key)

    def price_cents(self, number: int, key: str) -> int | None:
        """The price of one piece in the order that this key has made; None when the store does not tell."""
        try:
            response = self._ask("GET", f"/orders/{number}", headers={"Idempotency-Key": key})
            if response.status_code == 200:
                return self._read(response, lambda body: _cents(body["data"]["price"]))
        except StoreDown:  # it has sold, and that is what was asked of it
            pass
        return None

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _message(self, response: requests.Response) -> str:
        """The reason in a reply that is an error. Raises StoreDown like _read."""
        return self._read(response, _error_message)

    def _read(self, response: requests.Response, form: Callable[[Any], T]) -> T:
        """The value in a reply. Raises StoreDown when something else than this store answers at its address."""
        try:
            return form(response.json())
        except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError, Invalid):
            raise StoreDown(f"what answers at {self._url} is not this store") from None

    def _ask(
        self,
        method: str,
        path: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        """A reply below 500, or StoreDown when none came in time or the series is stopped."""
        begun = time.monotonic()
        while True:
            remaining_s, patience_s = max(0.1, begun + PATIENCE_S - time.monotonic()), PATIENCE_S
            try:
                # A redirect is not followed: it would make a GET of a buy, and send it where nobody has said to buy.
                response = self._session.request(
                    method,
                    self._url + path,
                    params=parameters,
                    headers=headers,
                    timeout=remaining_s,
                    allow_redirects=False,
                )
                self._met = True
                self._refuse_redirect(response)
                if response.status_code < 500:
                    return response
                why, advice = f"answers: {_trouble(response)}", "try again later"
            except requests.RequestException as error:
                if bad := _BAD_CERTIFICATE.search(str(error)):
                    raise StoreDown(f"the certificate of {self._url} is not to be trusted: {bad[1].strip()}") from None
                word = _in_a_word(error)
                why, advice = f"does not answer ({word})", "is `make run` running?"
                if word == REFUSED and not self._met:
                    patience_s = FIRST_PATIENCE_S
            if time.monotonic() + _PAUSE_S > begun + patience_s or self._stop.wait(_PAUSE_S):
                raise StoreDown(f"the store at {self._url} {why}; {advice}")

    def _refuse_redirect(self, response: requests.Response) -> None:
        if 300 <= response.status_code < 400:
            target = _in_brief(response.headers.get("Location", "nowhere"))
            raise StoreDown(
                f"what answers at {self._url} redirects to {target} (HTTP {response.status_code}); set FRONT to the "
                "address of the store itself"
            )


class _SystemCertificates(HTTPAdapter):
    """Trusts the certificates that this machine trusts, and those that requests brings along."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=ssl.create_default_context())


def _product(value: Any) -> Product:
    return Product(parse_name(value["name"]), _cents(value["price"]), int(value["quantity"]))


def _cents(price: Any) -> int:
    return round(float(price) * 100)


def _error_message(body: Any) -> str:
    return _in_brief(str(body["error"]["message"]))


def _trouble(response: requests.Response) -> str:
    """The reason in a reply from 500 on, which need not be of this store: a proxy before it may speak for it."""
    try:
        return _error_message(response.json())
    except (ValueError, LookupError, TypeError, RecursionError):
        return f"HTTP {response.status_code}"


def _in_brief(text: str) -> str:
    return visible(text[:MAX_MESSAGE_CHARACTERS]) + (" …" if len(text) > MAX_MESSAGE_CHARACTERS else "")


def _in_a_word(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS failed"
    if isinstance(error, requests.ConnectionError):
        return REFUSED if "refused" in str(error) else "connection failed"
    return _in_brief(str(error))
