"""Begins and ends returns in the order log, on every engine. The catalog's half is in db/take_back.py.

Each function is a part of the caller's transaction, in which nobody else gives back pieces of the same order or stores
something under the same key. Returns are rare, so each is read and written for itself.
"""

from typing import NamedTuple

from db.statements import FetchAll
from domain.errors import Invalid, KeyReused, OrderNotFound
from domain.returns import Return, Returned, ReturnOutcome, SaleReturn, TakeBack, TakenBack


class _Known(NamedTuple):
    """The return that the order log has under a key. `ended` is None while it is in doubt."""

    number: int
    sale_return: SaleReturn
    ended: Returned | None


def begin(fetch_all: FetchAll, asked: Return) -> SaleReturn | ReturnOutcome:
    """Writes the intent of a return. Returns what the catalog must take back, or how the return has ended."""
    known = _known(fetch_all, asked.key)
    if known is not None:
        pieces = known.sale_return
        # Without a quantity, the first request has decided how many pieces these are.
        if (asked.number, asked.quantity or pieces.quantity, asked.note) != (
            known.number,
            pieces.quantity,
            pieces.note,
        ):
            return KeyReused()
        return known.ended or pieces
    if fetch_all(_KEY_OF_A_BUY, {"key": asked.key}):
        return KeyReused()
    rows = fetch_all(_LEFT, {"number": asked.number})
    if not rows:
        return OrderNotFound()
    [(sale, product, left)] = rows
    if left <= 0:
        return Invalid(f"no piece of order {asked.number} is left to give back")
    quantity = asked.quantity or left
    if quantity > left:
        return Invalid(f"order {asked.number} has {left} of its pieces left to give back, and not {quantity}")
    intent = {"key": asked.key, "number": asked.number, "quantity": quantity, "note": asked.note}
    fetch_all(_INSERT_INTENT, intent)
    return SaleReturn(asked.key, sale, product, quantity, asked.note)


def finish(fetch_all: FetchAll, pieces: SaleReturn, taken: TakeBack) -> ReturnOutcome:
    """Logs how a return ended, once for its key, and deletes its intent. Returns what the log says of it."""
    # The recovery, or another process, may have logged the return meanwhile: then the log's word stands.
    known = _known(fetch_all, pieces.key)
    outcome: ReturnOutcome
    if known is not None and known.ended is not None:
        outcome = known.ended if known.sale_return == pieces else KeyReused()
    elif isinstance(taken, TakenBack):
        fetch_all(_INSERT_RETURN, _row(pieces))
        logged = _known(fetch_all, pieces.key)
        assert logged is not None and logged.ended is not None
        outcome = logged.ended
    else:
        outcome = taken
    fetch_all(_DELETE_INTENT, _row(pieces))
    return outcome


def intents(fetch_all: FetchAll, limit: int, skip: int) -> list[SaleReturn]:
    """Returns the oldest `limit` returns in doubt behind the first `skip`."""
    return [SaleReturn(*row) for row in fetch_all(_INTENTS, {"limit": limit, "skip": skip})]


def _row(pieces: SaleReturn) -> dict[str, str | int | None]:
    return {"key": pieces.key, "sale": pieces.sale, "quantity": pieces.quantity, "note": pieces.note}


def _known(fetch_all: FetchAll, key: str) -> _Known | None:
    """Returns what the log has under the key of a return, logged or in doubt; None for an unknown key."""
    rows = fetch_all(_KNOWN, {"key": key})
    if not rows:
        return None
    number, *pieces, returned, time = rows[0]
    sale_return = SaleReturn(key, *pieces)
    return _Known(number, sale_return, None if time is None else Returned(number, sale_return.quantity, returned, time))


# A logged return counts the pieces given back up to itself, so that its answer is the same for ever. PostgreSQL's
# sum of integers is no integer.
_KNOWN = """
    SELECT orders.number, orders.key, orders.product, returns.quantity, note,
        CAST((SELECT sum(quantity) FROM returns AS earlier
            WHERE earlier.number = returns.number AND earlier.entry <= returns.entry) AS BIGINT), returns.time
    FROM returns JOIN orders ON orders.number = returns.number WHERE returns.key = :key
    UNION ALL
    SELECT orders.number, orders.key, orders.product, return_intents.quantity, note, NULL, NULL
    FROM return_intents JOIN orders ON orders.number = return_intents.number WHERE return_intents.key = :key"""
_KEY_OF_A_BUY = """
    SELECT 1 FROM orders WHERE key = :key UNION ALL SELECT 1 FROM refused WHERE key = :key
    UNION ALL SELECT 1 FROM intents WHERE key = :key"""
# Pieces in doubt are not left: the catalog may have taken them back.
_LEFT = """
    SELECT key, product, CAST(quantity - (SELECT coalesce(sum(quantity), 0) FROM returns WHERE number = :number)
        - (SELECT coalesce(sum(quantity), 0) FROM return_intents WHERE number = :number) AS BIGINT)
    FROM orders WHERE number = :number"""
_INSERT_INTENT = """
    INSERT INTO return_intents (key, number, quantity, note) VALUES (:key, :number, :quantity, :note)"""
_INSERT_RETURN = """
    INSERT INTO returns (key, number, quantity, note)
    VALUES (:key, (SELECT number FROM orders WHERE key = :sale), :quantity, :note)"""
# Compares the whole return, because another one may have begun under the same key after this one ended.
_DELETE_INTENT = """
    DELETE FROM return_intents WHERE key = :key AND quantity = :quantity AND note IS NOT DISTINCT FROM :note
    AND number = (SELECT number FROM orders WHERE key = :sale)"""
_INTENTS = """
    SELECT return_intents.key, orders.key, product, return_intents.quantity, note
    FROM return_intents JOIN orders ON orders.number = return_intents.number
    ORDER BY begun LIMIT :limit OFFSET :skip"""
