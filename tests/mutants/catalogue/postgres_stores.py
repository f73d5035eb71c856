"""Seeded bugs in the stores on PostgreSQL: their locks, their reads and their schema."""

from tests.mutants.catalogue.mutant import Mutant

MUTANTS = (
    Mutant(
        "keys are locked in the order in which they come",
        "two sellers with the same keys wait for each other, and one of them fails",
        "db/postgres/locks.py",
        "sorted(set(keys))",
        "list(dict.fromkeys(keys))",
    ),
    Mutant(
        "a key that is there is not locked",
        "I3: a key of a return that was refused is used by two transactions at once",
        "db/postgres/locks.py",
        "DO UPDATE SET key = excluded.key WHERE FALSE",
        "DO NOTHING",
    ),
    Mutant(
        "a seller locks no keys",
        "I3: one key for two products, at two sellers at once, is sold and refused",
        "db/postgres/catalog.py",
        "        _is_ours(log),\n        lock_keys(keys),\n",
        '        _is_ours(log),\n        ("SELECT 1", {}),\n',
    ),
    Mutant(
        "products are locked in any order",
        "two sellers of the same products wait for each other",
        "db/postgres/catalog.py",
        "ORDER BY name FOR NO KEY UPDATE",
        "FOR NO KEY UPDATE",
    ),
    Mutant(
        "several processes load the first products at once",
        "a catalog has its first products twice, or does not start",
        "db/postgres/catalog.py",
        "fetch_together(LOCK_ADDING, (_ANY, {}))",
        'fetch_together(("SELECT 1", {}), (_ANY, {}))',
    ),
    Mutant(
        "an order tier locks no keys when a buy begins",
        "I3: two order tiers begin two buys under one key",
        "db/postgres/order.py",
        "lock_keys(buy.key for buy in buys), _logged",
        "lock_keys([]), _logged",
    ),
    Mutant(
        "the order of a key is told by a mere read",
        "I5: a number is told that no standby has, and that is lost with the primary",
        "db/postgres/order.py",
        "[rows] = self._database.run(lambda session: session.commit_with((_FIND, values)))",
        "with self._database.read() as session:\n            rows = session.fetch_all(_FIND, values)",
    ),
    Mutant(
        "two order tiers adopt an id at once",
        "a log without a store pairs with two catalogs",
        "db/postgres/order.py",
        "LOCK TABLE store IN SHARE ROW EXCLUSIVE MODE",
        "SELECT 1",
    ),
    Mutant(
        "the numbers come from a count of the orders",
        "I4: two batches at once get the same numbers, and one of them fails",
        "db/postgres/order.py",
        "WITH raised AS (UPDATE last_number SET number = number + :size RETURNING number - :size AS before)",
        "WITH raised AS (SELECT count(*) - 1 + 0 * :size AS before FROM orders)",
    ),
    Mutant(
        "the order log on PostgreSQL can be truncated",
        "somebody with a shell loses all orders at once",
        "migrations/postgres/log/0001_log.sql",
        "CREATE TRIGGER orders_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.orders",
        "CREATE TRIGGER orders_append_only BEFORE UPDATE OR DELETE ON log.orders",
    ),
    Mutant(
        "the numbers of the orders may have a gap on PostgreSQL",
        "I4: somebody with a shell leaves a gap",
        "migrations/postgres/log/0001_log.sql",
        "    IF size > 0 AND (last - first + 1 <> size\n",
        "    IF FALSE AND (last - first + 1 <> size\n",
    ),
    Mutant(
        "an entry of the ledger need not lead from the stock on PostgreSQL",
        "I1: the balances of a product do not chain",
        "migrations/postgres/catalog/0001_catalog.sql",
        "entries.earlier <> entries.before OR ",
        "",
    ),
)
