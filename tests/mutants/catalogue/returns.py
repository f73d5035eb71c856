"""Seeded bugs in the code that gives orders back, in all layers."""

from tests.mutants.catalogue.mutant import Mutant

_ASK_THE_CATALOG = (
    "        taken = answer_each(self._catalog.take_back, open_returns, MAX_RETURNS, deadline.remaining_s())\n"
)

MUTANTS = (
    Mutant(
        "the order log stores no intent of a return",
        "I1: a return that the catalog takes back while the order tier crashes is in no log",
        "db/returns.py",
        "    fetch_all(_INSERT_INTENT, intent)\n",
        "",
    ),
    Mutant(
        "a return begins without a check of the pieces that are left",
        "I3: only the schema prevents a second return of the same pieces, and its error is a 500",
        "db/returns.py",
        "    if quantity > left:\n",
        "    if False:\n",
    ),
    Mutant(
        "pieces in doubt are left to give back",
        "I3: two returns of the same pieces begin, and the second fails with a 500",
        "db/returns.py",
        "        - (SELECT coalesce(sum(quantity), 0) FROM return_intents WHERE number = :number) AS BIGINT)",
        "        AS BIGINT)",
    ),
    Mutant(
        "the schema lets a return begin beside others in doubt",
        "I3: somebody with a shell gives back more than was bought",
        "migrations/order/0004_returns.sql",
        "            + (SELECT coalesce(sum(quantity), 0) FROM return_intents WHERE number = NEW.number)\n",
        "",
    ),
    Mutant(
        "the schema of the catalog does not add returns up",
        "I3: somebody with a shell takes back more than was sold",
        "migrations/catalog/0007_returns.sql",
        "        WHERE NEW.delta + (SELECT coalesce(sum(delta), 0) FROM stock_ledger WHERE sale = NEW.sale)\n",
        "        WHERE NEW.delta\n",
    ),
    Mutant(
        "returns can be updated",
        "somebody with a shell can change past returns",
        "migrations/order/0004_returns.sql",
        "    SELECT RAISE(ABORT, 'returns are append-only');\nEND;\nCREATE TRIGGER returns_delete",
        "    SELECT 1;\nEND;\nCREATE TRIGGER returns_delete",
    ),
    Mutant(
        "the key of a return stands for any pieces",
        "I5: a key of one return gets the answer of another",
        "db/returns.py",
        "            return KeyReused()\n        return known.ended or pieces",
        "            pass\n        return known.ended or pieces",
    ),
    Mutant(
        "a return without a number of pieces is another one when it is repeated",
        "I5: the repeated key is refused although its return is logged",
        "db/returns.py",
        "        if (asked.number, asked.quantity or pieces.quantity, asked.note) != (\n",
        "        if (asked.number, asked.quantity, asked.note) != (\n",
    ),
    Mutant(
        "the key of a buy gives pieces back",
        "I3: a key buys and gives back, or fails with a 500",
        "db/returns.py",
        '    if fetch_all(_KEY_OF_A_BUY, {"key": asked.key}):\n',
        "    if False:\n",
    ),
    Mutant(
        "a return is logged without a look whether it is logged",
        "I3: a return that the recovery has already finished is logged twice, or fails with a 500",
        "db/returns.py",
        "    if known is not None and known.ended is not None:\n",
        "    if False:\n",
    ),
    Mutant(
        "a return is logged and stays in doubt",
        "I6: the return is in doubt for ever, and its pieces count twice",
        "db/returns.py",
        "    fetch_all(_DELETE_INTENT, _row(pieces))\n",
        "",
    ),
    Mutant(
        "the end of a return deletes all intents of its order with as many pieces",
        "I1: another return in doubt is lost",
        "db/returns.py",
        "DELETE FROM return_intents WHERE key = :key AND quantity",
        "DELETE FROM return_intents WHERE :key = :key AND quantity",
    ),
    Mutant(
        "a logged return counts the later ones too",
        "I5: two answers to one key differ",
        "db/returns.py",
        " AND earlier.entry <= returns.entry",
        "",
    ),
    Mutant(
        "a return names its own key as the sale",
        "I1: the catalog takes nothing back, for it has no such sale",
        "db/returns.py",
        "    return SaleReturn(asked.key, sale, product, quantity, asked.note)\n",
        "    return SaleReturn(asked.key, asked.key, product, quantity, asked.note)\n",
    ),
    Mutant(
        "the catalog does not look the key of a return up",
        "I3: a return whose answer was lost is refused, or fails, although its pieces are back",
        "db/take_back.py",
        "    if rows:\n        is_known",
        "    if False:\n        is_known",
    ),
    Mutant(
        "the catalog compares the key of a return without its sale",
        "I5: a key of one order's return gets the answer of another's",
        "db/take_back.py",
        "is_known = rows == [(pieces.sale, pieces.product,",
        "is_known = [row[1:] for row in rows] == [(pieces.product,",
    ),
    Mutant(
        "the catalog takes back without a check of the pieces that are left",
        "I3: only the schema prevents that more comes back than was sold, and its error is a 500",
        "db/take_back.py",
        "    if pieces.quantity > left:\n",
        "    if False:\n",
    ),
    Mutant(
        "a direct decrement can be given back",
        "I3: pieces come back that no order has bought",
        "db/take_back.py",
        "WHERE key = :sale AND reason = 'sold' AND product = :product",
        "WHERE key = :sale AND product = :product",
    ),
    Mutant(
        "a retired product takes nothing back",
        "the owner cannot take back what is no longer for sale, and the return is refused",
        "db/take_back.py",
        "FROM stock_ledger JOIN products ON name = product\n",
        "FROM stock_ledger JOIN products ON name = product AND NOT retired\n",
    ),
    Mutant(
        "another store's catalog takes returns back",
        "I1: pieces come back into the stock of another store",
        "db/sqlite/catalog.py",
        "                raise AnotherStore\n            return [take_back(",
        "                pass\n            return [take_back(",
    ),
    Mutant(
        "returns do not name the store of the log",
        "I1: a catalog that was replaced or put back to an older state takes returns back",
        "wsgi_apps/pairing.py",
        "self._catalog.take_back(returns, timeout_s, log=mark)",
        "self._catalog.take_back(returns, timeout_s, log=None)",
    ),
    Mutant(
        "a timeout is logged as a return",
        "I1: the log says returned, and the pieces are not in the stock",
        "domain/returns.py",
        _ASK_THE_CATALOG,
        "        try:\n"
        f"    {_ASK_THE_CATALOG}"
        "        except StoreError:\n"
        "            taken = [TakenBack() for _ in open_returns]\n",
    ),
    Mutant(
        "a timeout refuses a return",
        "I1, I5: the pieces are back in the stock, and the owner reads that none is left to give back",
        "domain/returns.py",
        _ASK_THE_CATALOG,
        "        try:\n"
        f"    {_ASK_THE_CATALOG}"
        "        except StoreError as error:\n"
        "            taken = [Invalid(error.message) for _ in open_returns]\n",
    ),
    Mutant(
        "the recovery sends returns under new keys",
        "I3: pieces in doubt come back twice",
        "domain/returns.py",
        "        return self._finish(batch, self._catalog.take_back(batch))\n",
        "        from dataclasses import replace\n\n"
        '        renamed = [replace(one, key=f"{one.key}-again") for one in batch]\n'
        "        return self._finish(batch, self._catalog.take_back(renamed))\n",
    ),
    Mutant(
        "the recovery has no sweep for returns",
        "I6: returns in doubt are never settled",
        "wsgi_apps/recovery.py",
        "        if returns is not None:\n",
        "        if False:\n",
    ),
    Mutant(
        "the recovery of the order tier does not know the returns",
        "I6: returns in doubt are settled by a restart alone",
        "conf/wiring.py",
        "Recovery(LimitedCheckout(store, tried_once, limit), Returns(store, tried_once))",
        "Recovery(LimitedCheckout(store, tried_once, limit))",
    ),
    Mutant(
        "a start leaves returns in doubt",
        "I6: after a crash the pieces of a return stay in doubt for seconds while the store sells",
        "conf/wiring.py",
        "        returns.settle(returns.intents(MAX_INTENTS))\n",
        "",
    ),
    Mutant(
        "any error of the catalog ends a return",
        "I1: a return that the catalog may have taken back is not in the log",
        "wsgi_apps/wire.py",
        "    if not isinstance(error, Invalid | KeyReused):\n",
        "    if False:\n",
    ),
    Mutant(
        "everybody may give orders back",
        "a shopper or the front end gives orders back, which is for the owner alone",
        "wsgi_apps/order.py",
        "endpoint=give_back, owner=True",
        "endpoint=give_back",
    ),
    Mutant(
        "the audit does not compare the returns",
        "I1, I3: pieces given back that are not in the stock stay unnoticed",
        "db/sqlite/audit/__init__.py",
        "    returns.check,\n",
        "",
    ),
)
