"""A page of products as a client reads it."""

import json
from dataclasses import dataclass

from domain.values import Product


@dataclass(frozen=True)
class Page:
    """Products by name, and the `after` of the next page."""

    products: list[Product]
    after: str | None

    @property
    def names(self) -> list[str]:
        return [product.name for product in self.products]


def read_page(page: bytes) -> Page:
    """The page in these bytes, which are nothing else."""
    body = json.loads(page)
    assert list(body) == ["data", "next"]
    products = [Product(item["name"], round(item["price"] * 100), item["quantity"]) for item in body["data"]]
    return Page(products, body["next"])
