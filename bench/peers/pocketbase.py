"""PocketBase: a ready-made backend for small stores, one Go process with its own SQLite.

A buy is one batch, which PocketBase runs as one transaction: it takes a piece from the product, whose stock may not
fall below 0, and creates an order. Its rules admit everyone, so there is no sign-in, and its log of requests is off,
since no other system here keeps one.
"""

import json
import secrets
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from bench.load import Request
from bench.peers.server import Server, ServerSystem
from bench.peers.system import PRICE, all_products, check_stock, first_stock, product_name
from tests.support.books import query
from tests.support.tiers import free_port

BINARY = Path(sys.executable).with_name("pocketbase")
EMAIL = "bench@example.com"

SETTINGS = {"batch": {"enabled": True, "maxRequests": 1_000, "timeout": 30}, "logs": {"maxDays": 0}}
PRODUCTS_COLLECTION = {
    "name": "products",
    "type": "base",
    "viewRule": "",  # an empty rule admits everyone, a missing one nobody
    "updateRule": "",
    "fields": [
        {"name": "name", "type": "text", "required": True},
        {"name": "price", "type": "number"},
        {"name": "stock", "type": "number", "min": 0, "onlyInt": True},
    ],
    "indexes": ["CREATE UNIQUE INDEX products_by_name ON products (name)"],
}
ORDERS_COLLECTION = {
    "name": "orders",
    "type": "base",
    "createRule": "",
    "fields": [
        {"name": "product", "type": "text", "required": True},
        {"name": "quantity", "type": "number", "min": 1, "onlyInt": True},
        {"name": "created", "type": "autodate", "onCreate": True},
    ],
}


class PocketBase(ServerSystem):
    """The peer PocketBase."""

    name = "pocketbase"
    about = "PocketBase, one Go process; a query is by record id, a buy one batch of two requests in one transaction"
    # core/db_connect.go of https://github.com/pocketbase/pocketbase sets both.
    durability = "WAL, synchronous=NORMAL (its default): a power cut can take the last buys; no key, so no exactly-once"

    def __init__(self) -> None:
        super().__init__()
        self._data: Path | None = None

    def start(self, folder: Path) -> None:
        self._data = folder / "pb_data"
        folders = [f"--dir={self._data}", f"--hooksDir={folder}/hooks", f"--migrationsDir={folder}/migrations"]
        password = secrets.token_hex(16)
        made = subprocess.run(
            [BINARY, "superuser", "upsert", EMAIL, password, *folders], capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, f"it cannot make its superuser: {made.stdout}{made.stderr}"
        port = free_port()
        command = [str(BINARY), "serve", f"--http=127.0.0.1:{port}", f"--publicDir={folder}/public", *folders]
        _fill(self.serve(Server(command, port=port, log=folder / "pocketbase.log")), password)

    @property
    def database(self) -> Path | None:
        return self._data and self._data / "data.db"

    def query(self, product: int) -> Request:
        return Request("GET", f"/api/collections/products/records/{record_id(product)}")

    def buy(self, product: int) -> Request:
        take = {
            "method": "PATCH",
            "url": f"/api/collections/products/records/{record_id(product)}",
            "body": {"stock-": 1},
        }
        order = {
            "method": "POST",
            "url": "/api/collections/orders/records",
            "body": {"product": record_id(product), "quantity": 1},
        }
        return Request("POST", "/api/batch", json.dumps({"requests": [take, order]}))

    def stock_in(self, reply: Any) -> int:
        return int(reply["stock"])

    def order_in(self, reply: Any) -> str:
        return str(reply[1]["body"]["id"])

    def check(self) -> None:
        assert self.database is not None
        stock = query(self.database, "SELECT name, stock FROM products")
        ordered = query(
            self.database,
            "SELECT coalesce(name, product), sum(quantity) FROM orders LEFT JOIN products ON products.id = product"
            " GROUP BY 1",
        )
        check_stock(dict(stock), dict(ordered))


def record_id(product: int) -> str:
    """Returns a record id of PocketBase's form, 15 characters."""
    return f"p{product:014d}"


def _fill(url: str, password: str) -> None:
    """Creates settings, collections and products by PocketBase's API."""
    credentials = {"identity": EMAIL, "password": password}
    token = _send(url, "POST", "/api/collections/_superusers/auth-with-password", credentials)["token"]
    _send(url, "PATCH", "/api/settings", SETTINGS, token)
    for collection in (PRODUCTS_COLLECTION, ORDERS_COLLECTION):
        _send(url, "POST", "/api/collections", collection, token)
    products = list(all_products())
    batch_size = SETTINGS["batch"]["maxRequests"]
    for first in range(0, len(products), batch_size):
        requests = [_creation(product) for product in products[first : first + batch_size]]
        _send(url, "POST", "/api/batch", {"requests": requests}, token)


def _creation(product: int) -> dict[str, Any]:
    """Returns the request that creates a product."""
    stock = first_stock(product)
    body = {"id": record_id(product), "name": product_name(product), "price": PRICE, "stock": stock}
    return {"method": "POST", "url": "/api/collections/products/records", "body": body}


def _send(url: str, method: str, path: str, body: Any, token: str = "") -> Any:
    """Sends a request to PocketBase's API, and returns the JSON of the response."""
    headers = {"Content-Type": "application/json", "Authorization": token}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)
