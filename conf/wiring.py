"""Builds each tier from the settings: the WSGI app that gunicorn serves, with its stores, clients and middlewares.

The functions `prepare_…` run in the master process before the first worker; all else runs in a worker.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conf.secret import Secrets
from conf.settings import Settings, Tier
from conf.stores import catalog_stores, order_stores, require_catalog_file, require_order_file
from conf.worker_settings import load_in_worker
from db.products_file import read_products
from db.start import StartRefused
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.limited_checkout import LimitedCheckout
from domain.refusal_limit import RefusalLimit
from domain.returns import Returns
from wsgi_apps import back_office, front_end, order
from wsgi_apps import catalog as catalog_tier
from wsgi_apps.back_office import BackOfficeApp
from wsgi_apps.batcher import Batcher, BatcherFactory
from wsgi_apps.bearer_auth import BearerAuthMiddleware, encode_authorization
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.clients import HttpCatalog, HttpOrders, HttpReturns
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.origin import DeskOriginMiddleware, Host, Hosts, ShopOriginMiddleware, TierOriginMiddleware
from wsgi_apps.owner_catalog import OwnerCatalogCalls
from wsgi_apps.owner_clients import BOOKS_DEADLINE_S, HttpOwnerCatalog, HttpOwnerOrders
from wsgi_apps.owner_orders import OwnerOrderCalls
from wsgi_apps.pages.api_docs import swagger_files
from wsgi_apps.pages.desk.formats import template_names
from wsgi_apps.pages.desk.login import Cookie, Login
from wsgi_apps.pages.desk.rules import Services, desk_rules
from wsgi_apps.pages.static import StaticFiles
from wsgi_apps.pages.templates import Templates
from wsgi_apps.pairing import PAIRING_TIMEOUT_S, PairedCatalog, PairedCheckout, PairedReturns
from wsgi_apps.ready import Readiness
from wsgi_apps.recovery import MAX_INTENTS, Recovery
from wsgi_apps.tier_client import TierClient

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)


def create_catalog_app() -> "WSGIApplication":
    """Returns the WSGI app of the catalog tier."""
    settings = load_in_worker()
    stores = catalog_stores(settings)
    readiness = Readiness({stores.state: stores.store.require_writable}, catalog_tier.READY_TIMEOUT_S)
    app = CatalogApp(
        stores.store,
        settings.catalog.threads,
        readiness,
        owner_rules=OwnerCatalogCalls(stores.owner).rules(),
        is_remote=stores.is_remote,
    )
    return _private(app, settings, settings.catalog)


@dataclass(frozen=True, slots=True)
class OrderTier:
    """The order tier's WSGI app, and the thread that settles buys in doubt: each worker starts its own."""

    app: "WSGIApplication"
    recovery: Recovery

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return self.app(environ, start_response)


def create_order_app(batcher: BatcherFactory = Batcher, tier_client: type[TierClient] = TierClient) -> OrderTier:
    """Returns the WSGI app of the order tier, with its recovery. Benchmarks pass a batcher or client of their own."""
    settings = load_in_worker()
    stores = order_stores(settings)
    store = stores.store
    client = _client(tier_client, "catalog", settings.catalog, settings, order.DEADLINE_S)
    owners_client = _owners_catalog_client(tier_client, settings)
    # Workers do not share memory, so each has an equal share of the limit. Within a worker, the requests and the
    # recovery share one limit, one store and one client.
    limit = RefusalLimit(settings.refused_per_s / settings.order.workers)
    catalog = PairedCatalog(store, HttpCatalog(client, owners_client=owners_client))

    def require_catalog() -> None:
        client.require_ready(order.READY_TIMEOUT_S)
        catalog.require_own_store()

    parts = {stores.state: store.require_writable, "catalog": require_catalog}
    readiness = Readiness(parts, order.READY_TIMEOUT_S)
    checkout = PairedCheckout(LimitedCheckout(store, catalog, limit), catalog)
    returns = PairedReturns(Returns(store, catalog), catalog)
    app = OrderApp(
        checkout,
        readiness,
        returns=returns,
        owner_rules=OwnerOrderCalls(stores.owner, stores.keeper).rules(),
        batcher=batcher,
        is_remote=stores.is_remote,
    )
    # The recovery needs no retries: it repeats its calls in its next sweep.
    tried_once = PairedCatalog(store, HttpCatalog(client, retry=False, owners_client=owners_client))
    recovery = Recovery(LimitedCheckout(store, tried_once, limit), Returns(store, tried_once))
    return OrderTier(_private(app, settings, settings.order), recovery)


def create_front_end_app(
    batcher: BatcherFactory = Batcher, tier_client: type[TierClient] = TierClient
) -> "WSGIApplication":
    """Returns the WSGI app of the front end. Benchmarks pass a batcher or a client of their own."""
    settings = load_in_worker()
    catalog = _client(tier_client, "catalog", settings.catalog, settings, front_end.DEADLINE_S)
    orders = _client(tier_client, "order tier", settings.order, settings, front_end.DEADLINE_S)
    parts = {
        "catalog": lambda: catalog.require_ready(front_end.READY_TIMEOUT_S),
        "order tier": lambda: orders.require_ready(front_end.READY_TIMEOUT_S),
    }
    readiness = Readiness(parts, front_end.READY_TIMEOUT_S)
    tier = settings.front_end
    app = FrontEndApp(
        HttpCatalog(catalog),
        HttpOrders(orders),
        tier.threads,
        readiness,
        pictures=settings.pictures,
        currency=settings.currency,
        batcher=batcher,
    )
    return ShopOriginMiddleware(app, allowed_hosts(tier), tier.hosts_variable)


def create_back_office_app(tier_client: type[TierClient] = TierClient) -> "WSGIApplication":
    """Returns the WSGI app of the back office. Raises StartRefused without OWNER_SECRET."""
    settings = load_in_worker()
    tier = settings.back_office
    values = require_owner_secrets(settings).values
    catalog = _owners_client(tier_client, "catalog", settings.catalog, values)
    orders = _owners_client(tier_client, "order tier", settings.order, values)
    patient = _owners_client(tier_client, "order tier", settings.order, values, BOOKS_DEADLINE_S)
    parts = {
        "catalog": lambda: catalog.require_ready(back_office.READY_TIMEOUT_S),
        "order tier": lambda: orders.require_ready(back_office.READY_TIMEOUT_S),
    }
    readiness = Readiness(parts, back_office.READY_TIMEOUT_S)
    static = StaticFiles(extra=swagger_files())
    templates = Templates(static=static.url, currency=settings.currency, **template_names(settings.currency))
    cookie = Cookie(f"desk-{tier.address.port}", secure=tier.address.scheme == "https")
    services = Services(HttpOwnerCatalog(catalog), HttpOwnerOrders(orders, patient), HttpReturns(orders))
    pages = desk_rules(services, templates, settings.currency)
    app = BackOfficeApp(Login(values, cookie, templates), pages, templates, static, readiness)
    return DeskOriginMiddleware(app, allowed_hosts(tier), tier.hosts_variable)


def prepare_front_end(settings: Settings) -> None:
    """Warns when the front end, which strangers reach, has been told the secret of the owner."""
    if settings.owner_secrets is not None:
        _log.warning(
            "front_end: OWNER_SECRET is in its environment; it does not use it, and should not have it: unset it here"
        )


def prepare_back_office(settings: Settings) -> None:
    """Checks that the back office knows the owner. Raises StartRefused."""
    require_owner_secrets(settings)


def require_owner_secrets(settings: Settings) -> Secrets:
    """Returns the secrets of the owner. Raises StartRefused when there are none."""
    if settings.owner_secrets is None:
        raise StartRefused(
            "set OWNER_SECRET, or OWNER_SECRET_FILE, here and at catalog and order tier to the same 32 characters or "
            "more; python3 -c 'import secrets; print(secrets.token_urlsafe())' prints some, and `make run` does it all"
        )
    return settings.owner_secrets


def prepare_catalog(settings: Settings) -> None:
    """Migrates the catalog's database and loads the first products. Raises StartRefused."""
    if warning := require_catalog_file(settings):
        _log.warning("%s", warning)
    store = catalog_stores(settings).store
    store.migrate()
    try:
        if store.is_empty():
            products = read_products(settings.products)
            if not products:  # on purpose, where the owner adds them all by hand
                _log.warning(
                    "%s (PRODUCTS) has no product, so the shop is empty: python -m admin add adds some",
                    settings.products,
                )
            store.load(products)
    finally:
        store.close()


def prepare_order(settings: Settings) -> None:
    """Migrates the order log and settles the buys and returns that the last run left in doubt. Raises StartRefused."""
    if warning := require_order_file(settings):
        _log.warning("%s", warning)
    store = order_stores(settings).store
    client = _client(TierClient, "catalog", settings.catalog, settings, order.DEADLINE_S, logs_outages=False)
    owners_client = _owners_catalog_client(TierClient, settings)
    store.migrate()
    try:
        catalog = PairedCatalog(store, HttpCatalog(client, owners_client=owners_client))
        with suppress(Unavailable):  # the catalog may start a moment later; a worker pairs with it then
            catalog.pair(PAIRING_TIMEOUT_S)
        checkout, returns = Checkout(store, catalog), Returns(store, catalog)
        checkout.settle(checkout.intents(MAX_INTENTS))
        returns.settle(returns.intents(MAX_INTENTS))
    except Unavailable:
        _log.info("the catalog does not answer yet, or is not ours; buys wait for it")
    finally:
        # The workers are forked from here: they must inherit no connection.
        store.close()
        client.close()
        if owners_client is not None:
            owners_client.close()


def allowed_hosts(tier: Tier) -> Hosts:
    """Returns the host names of a tier: those of its bind and its addresses, and those that its _HOSTS setting lists.

    Without that setting a tier accepts names without a dot, and a front end that other machines reach accepts any.
    """
    names = {tier.bind.host, *(address.host for address in tier.addresses), *tier.hosts}
    if tier.hosts:
        return Hosts(names, others=Host.FOREIGN)
    is_public = tier.name == "front_end" and not tier.is_on_loopback
    return Hosts(names, others=Host.OURS if is_public else Host.LOCAL)


def _private(app: "WSGIApplication", settings: Settings, tier: Tier) -> "WSGIApplication":
    """Wraps the app of a tier behind the front end, so that it answers the store's own tiers and the owner alone.

    Without TIER_SECRET it answers whoever reaches it, except to what only the owner may ask.
    """
    if settings.secrets is not None or settings.owner_secrets is not None:
        app = BearerAuthMiddleware(app, _values(settings.secrets), _values(settings.owner_secrets))
    return TierOriginMiddleware(app, allowed_hosts(tier), tier.hosts_variable)


def _values(secrets: Secrets | None) -> Sequence[str] | None:
    return None if secrets is None else secrets.values


def _client(
    kind: type[TierClient], name: str, tier: Tier, settings: Settings, deadline_s: float, *, logs_outages: bool = True
) -> TierClient:
    """Returns a client of a tier, which connects at its first call."""
    authorization = encode_authorization(settings.secrets.values[0]) if settings.secrets else None
    return kind(name, _places(tier), deadline_s=deadline_s, authorization=authorization, logs_outages=logs_outages)


def _owners_client(
    kind: type[TierClient],
    name: str,
    tier: Tier,
    values: Sequence[str],
    deadline_s: float = back_office.DEADLINE_S,
    *,
    logs_outages: bool = True,
) -> TierClient:
    """Returns a client of a tier, for the owner."""
    authorization = encode_authorization(values[0])
    return kind(
        name,
        _places(tier),
        deadline_s=deadline_s,
        authorization=authorization,
        logs_outages=logs_outages,
        for_owner=True,
    )


def _places(tier: Tier) -> Sequence[tuple[str, int]]:
    """Returns the host and port of each address of a tier."""
    return [(address.host, address.port) for address in tier.addresses]


def _owners_catalog_client(kind: type[TierClient], settings: Settings) -> TierClient | None:
    """Returns the order tier's client for returns; None without OWNER_SECRET. The other client logs the outages."""
    if settings.owner_secrets is None:
        return None
    values = settings.owner_secrets.values
    return _owners_client(kind, "catalog", settings.catalog, values, order.DEADLINE_S, logs_outages=False)
