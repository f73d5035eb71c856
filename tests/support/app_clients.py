"""Clients of the three apps without sockets. The front end calls the stores directly."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from werkzeug.test import Client, TestResponse

from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp


@dataclass
class AppClients:
    """A client of each tier's app."""

    front_end: Client
    catalog: Client
    order: Client

    @classmethod
    def of(cls, catalog: CatalogStore, checkout: Checkout) -> "AppClients":
        """Returns the clients of apps that share these stores."""
        return cls(Client(FrontEndApp(catalog, checkout)), Client(CatalogApp(catalog)), Client(OrderApp(checkout)))

    def __iter__(self) -> Iterator[Client]:
        return iter((self.front_end, self.catalog, self.order))


def send(client: Client, method: str, path: str) -> TestResponse:
    """Sends the bytes of the path unchanged, as gunicorn does. Werkzeug's client would make a valid URL of them."""
    return client.open(method=method, environ_overrides={"PATH_INFO": unquote_to_bytes(path).decode("latin-1")})


def decode_error(response: TestResponse) -> str:
    """Checks the form of an error response and returns its message."""
    assert response.content_type == "application/json"
    body = json.loads(response.text)
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message"]
    assert body["error"]["code"] == response.status_code
    message = body["error"]["message"]
    assert isinstance(message, str)
    return message
