"""Decodes a page of products as a client does."""

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
    """Returns the page. Asserts that the body has the members `data` and `next` and no other."""
    body = json.loads(page)
    assert list(body) == ["data", "next"]
    products = [Product(item["name"], round(item["price"] * 100), item["quantity"]) for item in body["data"]]
    return Page(products, body["next"])
