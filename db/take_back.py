"""Takes returned pieces back into the catalog's stock, on every engine.

Returns are rare, so each is read and written for itself, as a part of the caller's transaction.
"""

from db.statements import FetchAll
from domain.errors import Invalid, KeyReused
from domain.returns import SaleReturn, TakeBack, TakenBack


def take_back(fetch_all: FetchAll, pieces: SaleReturn) -> TakeBack:
    """Puts the pieces back into the catalog's stock, once for their key. A retired product takes them back too.

    Meanwhile no other transaction may change the product or store something under the key.
    """
    rows = fetch_all(_UNDER_KEY, {"key": pieces.key})
    if rows:
        is_known = rows == [(pieces.sale, pieces.product, pieces.quantity, pieces.note)]
        return TakenBack() if is_known else KeyReused()
    sold = fetch_all(_SOLD, {"sale": pieces.sale, "product": pieces.product})
    if not sold:
        return Invalid(f"the catalog has no sale of {pieces.product!r} under the key {pieces.sale!r} of the order")
    [(left, price_cents, stock)] = sold
    if pieces.quantity > left:
        return Invalid(f"the catalog has {left} pieces of the order left to take back, and not {pieces.quantity}")
    entry = {
        "product": pieces.product,
        "quantity": pieces.quantity,
        "balance": stock + pieces.quantity,
        "key": pieces.key,
        "price_cents": price_cents,
        "note": pieces.note,
        "sale": pieces.sale,
    }
    fetch_all(_INSERT_RETURNED, entry)
    return TakenBack()


# A key of anything else than a return has no sale, and so equals none.
_UNDER_KEY = """
    SELECT sale, product, delta, note FROM stock_ledger WHERE key = :key
    UNION ALL SELECT NULL, product, quantity, NULL FROM refused WHERE key = :key"""
# The price of an entry is the product's price now, as for every entry of the ledger. PostgreSQL's sum is no integer.
_SOLD = """
    SELECT -delta - CAST((SELECT coalesce(sum(delta), 0) FROM stock_ledger WHERE sale = :sale) AS BIGINT),
        products.price_cents, products.quantity
    FROM stock_ledger JOIN products ON name = product
    WHERE key = :sale AND reason = 'sold' AND product = :product"""
_INSERT_RETURNED = """
    INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents, note, sale)
    VALUES (:product, :quantity, :balance, 'returned', :key, :price_cents, :note, :sale)"""
