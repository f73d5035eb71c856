"""Requests and replies of the store, which the Flask systems share."""

from typing import Any

from bench.load import Request
from bench.peers.system import product_name


class StoreLike:
    """Base of systems with the paths and replies of the store."""

    def query(self, product: int) -> Request:
        return Request("GET", f"/products/{product_name(product)}")

    def buy(self, product: int) -> Request:
        return Request("POST", f"/{product_name(product)}/1")

    def stock_in(self, reply: Any) -> int:
        return int(reply["data"]["quantity"])

    def order_in(self, reply: Any) -> str:
        return str(reply["data"]["order_number"])
