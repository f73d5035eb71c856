"""The order tier: takes buys, exactly once each, and keeps the order log."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from conf.settings import Settings, load
from db.order import OrderStore
from db.pairing import LOG_NAME, require_whole
from domain.checkout import MAX_BATCH, Checkout
from domain.errors import OrderNotFound, Refused, Unavailable
from domain.limited_checkout import LimitedCheckout
from domain.protocols import Orders, Placed
from domain.refusal_limit import RefusalLimit
from domain.values import Buy
from wsgi_apps import queries
from wsgi_apps.base import App, Request, Rule
from wsgi_apps.batcher import Batcher, single_result
from wsgi_apps.bearer_auth import guarded
from wsgi_apps.clients import HttpCatalog
from wsgi_apps.origin import TierOriginMiddleware
from wsgi_apps.pairing import PAIRING_TIMEOUT_S, PairedCatalog, PairedCheckout
from wsgi_apps.ready import Readiness
from wsgi_apps.recovery import MAX_INTENTS, Recovery
from wsgi_apps.reply import Later, Reply
from wsgi_apps.tier_client import TierClient
from wsgi_apps.wire import BUYS, decode_buys, encode_order_number, encode_placed

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Shorter than the front end's 6 s, so that it has time to ask again when the catalog is away.
DEADLINE_S = 2.0
# While one batch is at the catalog, the next is written down. Measured, see bench/RESULTS.md.
BATCHES_IN_FLIGHT = 2
# Between the catalog's and the front end's, who asks.
READY_TIMEOUT_S = 1.6

_log = logging.getLogger(__name__)


class OrderApp(App):
    """Takes buys and shows orders."""

    def __init__(self, orders: Orders, readiness: Readiness | None = None) -> None:
        self._orders = orders
        # Buys that come while others are under way share the steps, and the commits, of the next.
        self._buys: Batcher[Buy, Placed] = Batcher(
            orders.place_all, max_batch_size=MAX_BATCH, timeout_s=DEADLINE_S, max_in_flight=BATCHES_IN_FLIGHT
        )
        buy = Rule("/products/<name>/<quantity>", methods=["GET", "POST"], endpoint=self.buy)
        assert buy.methods is not None
        buy.methods.remove("HEAD")  # Werkzeug lets HEAD in with GET, but a HEAD must never buy
        rules = [
            buy,
            Rule(BUYS, methods=["POST"], endpoint=self.buy_all),
            Rule("/orders/<number>", methods=["GET"], endpoint=self.order),
        ]
        super().__init__(rules, probe=self._read_log, readiness=readiness)

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
        return queries.order(self._orders, number, request.given_key)

    def _read_log(self) -> None:
        with suppress(OrderNotFound):
            self._orders.order(0)


def create_app() -> "WSGIApplication":
    """The tier as gunicorn serves it."""
    settings = load()
    worker = _worker(settings)
    catalog = PairedCatalog(worker.store, HttpCatalog(worker.catalog))

    def require_catalog() -> None:
        worker.catalog.require_ready(READY_TIMEOUT_S)
        catalog.require_own_store()

    readiness = Readiness({"order.db": worker.store.require_writable, "catalog": require_catalog}, READY_TIMEOUT_S)
    checkout = PairedCheckout(LimitedCheckout(worker.store, catalog, worker.limit), catalog)
    return TierOriginMiddleware(guarded(OrderApp(checkout, readiness), settings.secrets), settings.order)


def prepare(settings: Settings) -> None:
    """Before the first worker: schema, and the buys that the last run left in doubt. Raises StartRefused."""
    if warning := require_whole(settings.data_dir, LOG_NAME):
        _log.warning("%s", warning)
    store, client = _store(settings), _catalog(settings, tells_log=False)
    store.migrate()
    try:
        catalog = PairedCatalog(store, HttpCatalog(client))
        with suppress(Unavailable):  # it may start a moment later, and is paired then
            catalog.pair(PAIRING_TIMEOUT_S)
        checkout = Checkout(store, catalog)
        checkout.settle(checkout.intents(MAX_INTENTS))
    except Unavailable:
        _log.info("the catalog does not answer yet, or is not ours; buys wait for it")
    finally:
        # The workers are forked from here: they must inherit neither connection.
        store.close()
        client.close()


def start_recovery(settings: Settings) -> None:
    """In a worker: start the thread that settles what is left in doubt from now on."""
    worker = _worker(settings)
    catalog = PairedCatalog(worker.store, HttpCatalog(worker.catalog, retry=False))
    Recovery(LimitedCheckout(worker.store, catalog, worker.limit)).start()


@dataclass(frozen=True, slots=True)
class _Worker:
    """Shared by the requests and the recovery of a worker: the ways to both states, and the limit to refusals."""

    store: OrderStore
    catalog: TierClient
    limit: RefusalLimit


@cache
def _worker(settings: Settings) -> _Worker:
    """This process's. Not to be called before the fork."""
    # Each worker has its share of the limit: the workers know nothing of each other.
    limit = RefusalLimit(settings.refused_per_s / settings.order.workers)
    return _Worker(_store(settings), _catalog(settings), limit)


def _store(settings: Settings) -> OrderStore:
    folder = settings.data_dir
    return OrderStore(folder / LOG_NAME, require=lambda: require_whole(folder, LOG_NAME))


def _catalog(settings: Settings, *, tells_log: bool = True) -> TierClient:
    address, secrets = settings.catalog.address, settings.secrets
    return TierClient("catalog", address, deadline_s=DEADLINE_S, secrets=secrets, tells_log=tells_log)
