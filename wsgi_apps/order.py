"""The order tier: takes buys, exactly once each, and keeps the order log."""

from collections.abc import Sequence

from domain.checkout import MAX_BATCH, Checkout
from domain.errors import Refused
from domain.protocols import Placed
from domain.values import Buy
from wsgi_apps import queries
from wsgi_apps.base import App, Request, Rule
from wsgi_apps.batcher import Asker, Batcher, BatcherFactory, single_result
from wsgi_apps.ready import Readiness
from wsgi_apps.reply import Later, Reply
from wsgi_apps.wire import BUYS, decode_buys, encode_order_number, encode_placed

# Shorter than the front end's 6 s, so that it has time to ask again when the catalog is away.
DEADLINE_S = 2.0
# While one batch is at the catalog, the next is written down. Measured, see bench/RESULTS.md.
BATCHES_IN_FLIGHT = 2
# Between the catalog's and the front end's, who asks.
READY_TIMEOUT_S = 1.6


class OrderApp(App):
    """Takes buys and shows orders."""

    def __init__(
        self, checkout: Checkout, readiness: Readiness | None = None, *, batcher: BatcherFactory = Batcher
    ) -> None:
        self._checkout = checkout
        # Buys that come while others are under way share the steps, and the commits, of the next.
        self._buys: Asker[Buy, Placed] = batcher(
            checkout.place_all, max_batch_size=MAX_BATCH, timeout_s=DEADLINE_S, max_in_flight=BATCHES_IN_FLIGHT
        )
        buy = Rule("/products/<name>/<quantity>", methods=["GET", "POST"], endpoint=self.buy)
        assert buy.methods is not None
        buy.methods.remove("HEAD")  # Werkzeug lets HEAD in with GET, but a HEAD must never buy
        rules = [
            buy,
            Rule(BUYS, methods=["POST"], endpoint=self.buy_all),
            Rule("/orders/<number>", methods=["GET"], endpoint=self.order),
        ]
        super().__init__(rules, probe=lambda: checkout.intents(1), readiness=readiness)

    def buy(self, request: Request, name: str, quantity: str) -> Later[Sequence[Placed]]:
        """GET buys too: the published interface has it so. A refused buy has the number -1."""

        def reply(answers: Sequence[Placed]) -> Reply:
            try:
                return Reply(encode_order_number(single_result(answers)))
            except Refused as refused:
                return Reply({"order_number": "-1", "message": refused.message}, status=404)

        return Later(self._buys.ask([request.buy(name, quantity)]), reply)

    def buy_all(self, request: Request) -> Later[Sequence[Placed]]:
        """For the front end: many buys, each by its own key, each with its own answer."""
        placed = self._buys.ask(decode_buys(request.whole_body))
        return Later(placed, lambda answers: Reply({"data": [encode_placed(answer) for answer in answers]}))

    def order(self, request: Request, number: str) -> Reply:
        """Any order. With an Idempotency-Key, which the front end passes on, only the order of that key."""
        return queries.order(self._checkout, number, request.given_key)
