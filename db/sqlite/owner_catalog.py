"""The catalog's file for the owner: the stock, the ledger and the history of a product, and the owner's changes."""

from db.owner_catalog import OwnerCatalogReads
from db.sqlite.product_admin import ProductAdmin

_STOCK = """
    SELECT name, price_cents, quantity, retired FROM products
    WHERE (:retired OR retired = 0) AND instr(folded, :q) AND (quantity, name) > (:quantity, :name)
    ORDER BY quantity, name LIMIT :limit"""


class OwnerCatalogStore(ProductAdmin, OwnerCatalogReads):
    """The catalog in one SQLite file, for the owner: see domain.owner.OwnerCatalog. Any thread may call it."""

    stock_sql = _STOCK
