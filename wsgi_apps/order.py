"""The order tier: takes each buy exactly once, and keeps the order log."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from conf.settings import Settings, load
from db.order import OrderStore
from db.pairing import LOG_NAME, require_whole
from domain.checkout import Checkout
from domain.errors import Refused, Unavailable
from domain.limits import MAX_BATCH
from domain.protocols import Placed
from domain.refusals import Allowance
from domain.values import Buy
from wsgi_apps import queries
from wsgi_apps.base import App, Request, Rule
from wsgi_apps.batcher import Batcher, single_result
from wsgi_apps.bearer_auth import guarded
from wsgi_apps.clients import HttpCatalog
from wsgi_apps.origin import TierOriginMiddleware
from wsgi_apps.pairing import MEETS_WITHIN_S, PairedCatalog, PairedCheckout
from wsgi_apps.ready import Readiness
from wsgi_apps.recovery import MAX_INTENTS, Recovery
from wsgi_apps.reply import Deferred, Reply
from wsgi_apps.tier_client import TierClient
from wsgi_apps.wire import BUYS, decode_buys, encode_order_number, encode_placed

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Shorter than the front end's 6 s, so that the front end has time for a retry when the catalog is away.
DEADLINE_S = 2.0
# The intents of one batch are written while another is at the catalog. Measured, see bench/RESULTS.md.
BATCHES_IN_FLIGHT = 2
# Longer than the catalog's, shorter than the front end's.
READY_TIMEOUT_S = 1.6

_log = logging.getLogger(__name__)


class OrderApp(App):
    """Takes buys and shows orders."""

    def __init__(self, checkout: Checkout, readiness: Readiness | None = None) -> None:
        self._checkout = checkout
        # Buys that arrive while a batch is under way share the two commits of a later one.
        self._buys: Batcher[Buy, Placed] = Batcher(
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

    def buy(self, request: Request, name: str, quantity: str) -> Deferred[Sequence[Placed]]:
        """Buys, also by GET: the published interface has it so. A refused buy has the number -1."""

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

    def order(self, request: Request, number: str) -> Reply:
        """Shows any order. With an Idempotency-Key, which the front end passes on, only the order of that key."""
        return queries.order(self._checkout, number, request.given_key)


def create_app() -> "WSGIApplication":
    """The tier as gunicorn serves it."""
    settings = load()
    worker = _worker(settings)
    catalog = PairedCatalog(worker.store, HttpCatalog(worker.catalog))

    def require_catalog() -> None:
        worker.catalog.require_ready(READY_TIMEOUT_S)
        catalog.require()

    readiness = Readiness({"order.db": worker.store.require_writable, "catalog": require_catalog}, READY_TIMEOUT_S)
    checkout = PairedCheckout(worker.store, catalog, worker.allowance)
    return TierOriginMiddleware(guarded(OrderApp(checkout, readiness), settings.secrets), settings.order)


def prepare(settings: Settings) -> None:
    """Before the first worker: schema, and the buys that the last run left in doubt. Raises StartRefused."""
    if warning := require_whole(settings.data_dir, LOG_NAME):
        _log.warning("%s", warning)
    store, client = _store(settings), _catalog(settings, tells_log=False)
    store.migrate()
    try:
        catalog = PairedCatalog(store, HttpCatalog(client))
        with suppress(Unavailable):  # it may start a moment later, and is met then
            catalog.meet(MEETS_WITHIN_S)
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
    Recovery(PairedCheckout(worker.store, catalog, worker.allowance)).start()


@dataclass(frozen=True, slots=True)
class _Worker:
    """Shared by the requests and the recovery of a worker: the ways to both states, and the limit to refusals."""

    store: OrderStore
    catalog: TierClient
    allowance: Allowance


@cache
def _worker(settings: Settings) -> _Worker:
    """This process's. Not to be called before the fork."""
    # Each worker has its share of what may be refused: they know nothing of each other.
    allowance = Allowance(settings.refused_per_s / settings.order.workers)
    return _Worker(_store(settings), _catalog(settings), allowance)


def _store(settings: Settings) -> OrderStore:
    folder = settings.data_dir
    return OrderStore(folder / LOG_NAME, require=lambda: require_whole(folder, LOG_NAME))


def _catalog(settings: Settings, *, tells_log: bool = True) -> TierClient:
    address, secrets = settings.catalog.address, settings.secrets
    return TierClient("catalog", address, deadline_s=DEADLINE_S, secrets=secrets, tells_log=tells_log)
