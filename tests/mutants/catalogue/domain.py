"""Seeded bugs in domain/: the buy, its values, and the limit of refused buys."""

from tests.mutants.catalogue.mutant import Mutant

MUTANTS = (
    Mutant(
        "a timeout is logged as a refusal",
        "I1, I5: the pieces are sold, and the shopper reads that the product is out of stock",
        "domain/checkout.py",
        "        sales = answer_each(self._catalog.sell, open_buys, MAX_BATCH, deadline.remaining_s())\n",
        "        try:\n"
        "            sales = answer_each(self._catalog.sell, open_buys, MAX_BATCH, deadline.remaining_s())\n"
        "        except StoreError:\n"
        "            from domain.errors import OutOfStock\n\n"
        "            sales = [OutOfStock() for _ in open_buys]\n",
    ),
    Mutant(
        "the recovery sends new keys",
        "I3: a buy in doubt is sold twice",
        "domain/checkout.py",
        "        sales = self._catalog.sell(batch)\n",
        "        from dataclasses import replace\n\n"
        '        sales = self._catalog.sell([replace(buy, key=f"{buy.key}-again") for buy in batch])\n',
    ),
    Mutant(
        "the largest stock is refused",
        "the owner cannot set a stock that the schema allows",
        "domain/values.py",
        "<= quantity <= MAX_STOCK",
        "<= quantity < MAX_STOCK",
    ),
    Mutant(
        "a sold buy does not free its token",
        "after an outage, late shoppers are throttled for as long again",
        "domain/refusal_limit.py",
        "if isinstance(sale, Refused) and buy.key not in self._spent:",
        "if buy.key not in self._spent:",
    ),
    Mutant(
        "all throttled buys get the same Retry-After",
        "the clients all retry at the same time",
        "domain/refusal_limit.py",
        "            self._queue_end = place\n",
        "            pass\n",
    ),
    Mutant(
        "a failing buy in a batch ends the sweep",
        "I6: one buy that cannot be answered keeps all others in doubt",
        "domain/isolation.py",
        "            if len(batch) == 1:\n                yield batch[0], Failed(error)",
        "            if len(batch) == 1:\n                raise\n                yield batch[0], Failed(error)",
    ),
    Mutant(
        "a whole number may have 19 digits",
        "19 digits exceed SQLite's integers, and its error is a 500",
        "domain/values.py",
        "{1,18}",
        "{1,19}",
    ),
    Mutant(
        "two batches count on the same tokens",
        "more refused buys are logged than REFUSED_PER_S allows",
        "domain/limited_checkout.py",
        "        if not self._beginning.acquire(timeout=-1 if timeout_s is None else timeout_s):",
        "        self._beginning = threading.Lock()\n        if not self._beginning.acquire():",
    ),
    Mutant(
        "a refused key costs a token in each batch",
        "a client that sends a key twice at once uses up the tokens of others",
        "domain/refusal_limit.py",
        "if isinstance(sale, Refused) and buy.key not in self._spent:",
        "if isinstance(sale, Refused):",
    ),
    Mutant(
        "a batch counts on pieces that another batch is buying",
        "more refused buys are logged than REFUSED_PER_S allows",
        "domain/limited_checkout.py",
        "for buy in [*self._under_way.values()]:",
        "for buy in []:",
    ),
)
