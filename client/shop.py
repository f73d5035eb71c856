"""The store as a shopper's program sees it: a query, a buy, and patience while a tier restarts."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import requests

T = TypeVar("T")

# For how long a request is repeated, a buy always under its own key, before the store counts as down.
PATIENCE_S = 10.0
# Where nothing listens and nothing ever answered, the store is more likely not running than restarting.
FIRST_PATIENCE_S = 2.0
REFUSED = "connection refused"
_PAUSE_S = 0.2


class StoreDown(Exception):
    """The store gave no answer, or none that serves; the message says where it was asked and what to do."""


class Shop:
    """One shopper: a session of kept-alive connections. Not for use by several threads at once."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        self._url = url
        self._stop = stop
        self._met = False
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between a shopper and this store

    def names(self) -> list[str]:
        """The names of all products. Raises StoreDown."""
        names: list[str] = []
        parameters: dict[str, Any] = {"limit": 1000}
        while True:
            response = self._ask("GET", "/products", parameters=parameters)
            page, after = self._read(
                response, lambda body: ([product["name"] for product in body["data"]], body["next"])
            )
            names += page
            if after is None:
                return names
            parameters["after"] = after

    def query(self, name: str) -> tuple[str, int]:
        """What came of it, and the pieces in stock. Raises StoreDown."""
        response = self._ask("GET", f"/products/{quote(name, safe='')}")
        if response.status_code == 200:
            return "found", self._read(response, lambda body: int(body["data"]["quantity"]))
        return self._message(response), 0

    def buy(self, name: str, quantity: int) -> str:
        """What came of it, `bought` at best. One key a buy, however often it has to be sent. Raises StoreDown."""
        path = f"/{quote(name, safe='')}/{quantity}"
        response = self._ask("POST", path, headers={"Idempotency-Key": str(uuid.uuid4())})
        if response.status_code == 200:
            self._read(response, lambda body: int(body["data"]["order_number"]))
            return "bought"
        return self._message(response)

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
        except (ValueError, LookupError, TypeError):
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
            left_s, patience_s = max(0.1, begun + PATIENCE_S - time.monotonic()), PATIENCE_S
            try:
                response = self._session.request(
                    method, self._url + path, params=parameters, headers=headers, timeout=left_s
                )
                self._met = True
                if response.status_code < 500:
                    return response
                why, advice = f"answers: {_trouble(response)}", "try again later"
            except requests.RequestException as error:
                word = _in_a_word(error)
                why, advice = f"does not answer ({word})", "is `make run` running?"
                if word == REFUSED and not self._met:
                    patience_s = FIRST_PATIENCE_S
            if time.monotonic() + _PAUSE_S > begun + patience_s or self._stop.wait(_PAUSE_S):
                raise StoreDown(f"the store at {self._url} {why}; {advice}")


def _error_message(body: Any) -> str:
    return str(body["error"]["message"])


def _trouble(response: requests.Response) -> str:
    """The reason in a reply from 500 on, which need not be of this store: a proxy before it may speak for it."""
    try:
        return _error_message(response.json())
    except (ValueError, LookupError, TypeError):
        return f"HTTP {response.status_code}"


def _in_a_word(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.ConnectionError):
        return REFUSED if "refused" in str(error) else "connection failed"
    return str(error)
