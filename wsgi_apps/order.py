"""The order tier: takes each buy exactly once, and keeps the order log."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial

from domain.errors import OrderNotFound, Refused
from domain.limits import MAX_BATCH
from domain.protocols import Orders, Placed
from domain.returns import OwnerReturns
from domain.values import Buy, parse_whole_number
from wsgi_apps import queries
from wsgi_apps.base import App, Request, Rule, nothing
from wsgi_apps.batcher import Asker, Batcher, BatcherFactory, single_result
from wsgi_apps.ready import Readiness
from wsgi_apps.reply import BoundedPool, Deferred, Reply, run_in_pool
from wsgi_apps.wire import (
    BUYS,
    RECEIPTS,
    decode_buys,
    decode_keys,
    decode_return,
    encode_known,
    encode_order_number,
    encode_placed,
    encode_returned,
)

# Shorter than the front end's 6 s, so that the front end has time for a retry when the catalog is away.
DEADLINE_S = 2.0
# The intents of one batch are written while another batch is at the catalog (measured, see bench/RESULTS.md).
BATCHES_IN_FLIGHT = 2
# Longer than the catalog's, for which this check waits; shorter than the front end's, which waits for this check.
READY_TIMEOUT_S = 1.6
# Returns wait for the disk and the catalog. They are few, and one at a time leaves the write locks to buys.
RETURN_THREADS = 1
MAX_QUEUED_RETURNS = 16


class OrderApp(App):
    """Takes buys, shows orders, and gives orders back for the owner if it has `returns`.

    `owner_rules` are those of the owner's further calls (wsgi_apps/owner_orders.py). `is_remote` is as in CatalogApp,
    for the order log.
    """

    def __init__(
        self,
        orders: Orders,
        readiness: Readiness | None = None,
        *,
        returns: OwnerReturns | None = None,
        owner_rules: Iterable[Rule] = (),
        batcher: BatcherFactory = Batcher,
        is_remote: bool = False,
    ) -> None:
        self._orders = orders
        read = queries.reads_of(is_remote=is_remote)
        # Buys that arrive while a batch is under way share the two commits of a later one.
        self._buys: Asker[Buy, Placed] = batcher(
            orders.place_all, max_batch_size=MAX_BATCH, timeout_s=DEADLINE_S, max_in_flight=BATCHES_IN_FLIGHT
        )
        buy = Rule("/products/<name>/<quantity>", methods=["GET", "POST"], endpoint=self.buy)
        assert buy.methods is not None
        buy.methods.remove("HEAD")  # Werkzeug lets HEAD in with GET, but a HEAD must never buy
        rules = [
            buy,
            Rule(BUYS, methods=["POST"], endpoint=self.buy_all),
            Rule(RECEIPTS, methods=["POST"], endpoint=read(self.find)),
            Rule("/orders/<number>", methods=["GET"], endpoint=read(self.order)),
            *owner_rules,
        ]
        if returns is not None:
            give_back = run_in_pool(partial(self.give_back, returns), BoundedPool(RETURN_THREADS, MAX_QUEUED_RETURNS))
            rules.append(Rule("/orders/<number>/returns", methods=["POST"], endpoint=give_back, owner=True))
        super().__init__(rules, probe=nothing if is_remote else self._read_log, readiness=readiness)

    def buy(self, request: Request, name: str, quantity: str) -> Deferred[Sequence[Placed]]:
        """Buys, also by GET, because the published interface says so. A refused buy has the order number -1."""

        def reply(answers: Sequence[Placed]) -> Reply:
            try:
                return Reply(encode_order_number(single_result(answers)))
            except Refused as refused:
                return Reply({"order_number": "-1", "message": refused.message}, status=404)

        return Deferred(self._buys.ask([request.buy(name, quantity)]), reply)

    def buy_all(self, request: Request) -> Deferred[Sequence[Placed]]:
        """Takes a batch of buys from the front end. Each has its own key and its own result."""
        placed = self._buys.ask(decode_buys(request.whole_body))
        return Deferred(placed, lambda answers: Reply({"data": [encode_placed(answer) for answer in answers]}))

    def find(self, request: Request) -> Reply:
        """Tells the front end what the log knows of each key. It knows all keys, so it alone may ask."""
        found = self._orders.find(decode_keys(request.whole_body))
        return Reply({"data": [encode_known(known) for known in found]})

    def order(self, request: Request, number: str) -> Reply:
        """Shows an order. With an Idempotency-Key, which the front end always sends, only the order of that key."""
        return queries.order(self._orders, number, request.given_key)

    def give_back(self, returns: OwnerReturns, request: Request, number: str) -> Reply:
        """Gives pieces of an order back, once for the key. The body says how many, and why."""
        parsed = parse_whole_number(number)
        if parsed is None:
            raise OrderNotFound
        asked = decode_return(request.idempotency_key, parsed, request.whole_body)
        return Reply({"data": encode_returned(returns.give_back(asked, DEADLINE_S))})

    def _read_log(self) -> None:
        """Reads the order log. Raises when it cannot be read; an empty log is no error."""
        with suppress(OrderNotFound):
            self._orders.order(0)
