"""Endpoints and rules that two tiers share.

The front end answers a query by asking the tier behind it, and that tier by its store.
"""

from collections.abc import Callable

from domain.errors import Invalid, OrderNotFound
from domain.protocols import Catalog, Orders
from domain.values import parse_name, parse_whole_number
from wsgi_apps.base import Request, Rule
from wsgi_apps.reply import BoundedPool, Deferred, Reply, run_in_pool
from wsgi_apps.wire import encode_order

# The reads of a store on another machine, if its app has one. They are as short as any round trip to it, and those of
# the front end come in batches.
READ_THREADS = 2
MAX_QUEUED_READS = 256

# The products of a page.
DEFAULT_LIMIT = 100
# The most rows of a page, whatever they are.
MAX_LIMIT = 1000


def reads_of(*, is_remote: bool) -> Callable[[Callable[..., Reply]], Callable[..., Reply | Deferred[Reply]]]:
    """Returns the function that makes an endpoint of one that reads a store, and `is_remote` says where that is.

    A read of a file costs less than its hand-over to a thread. A read of a store on another machine may wait for as
    long as that is frozen, so it must not run in the one thread that serves all connections.
    """
    if not is_remote:
        return lambda endpoint: endpoint
    pool = BoundedPool(READ_THREADS, MAX_QUEUED_READS)
    return lambda endpoint: run_in_pool(endpoint, pool)


def products(catalog: Catalog, request: Request) -> Reply:
    """Answers with a page of products. Raises Invalid."""
    given = request.parameters("q", "limit", "after")
    q, after = (parse_name(given[name]) if given.get(name) else "" for name in ("q", "after"))
    limit = parse_limit(given.get("limit", str(DEFAULT_LIMIT)))
    return Reply(catalog.products(q=q, after=after, limit=limit))


def parse_limit(text: str) -> int:
    """Returns the number of rows of a page. Raises Invalid."""
    limit = parse_whole_number(text)
    if limit is None or not 1 <= limit <= MAX_LIMIT:
        raise Invalid(f"limit is not a whole number from 1 to {MAX_LIMIT}")
    return limit


def order(orders: Orders, number: str, key: str | None) -> Reply:
    """Answers with the order of this number and, if it is not None, of this key. Raises OrderNotFound."""
    parsed = parse_whole_number(number)
    if parsed is None:
        raise OrderNotFound
    return Reply({"data": encode_order(orders.order(parsed, key))})


def owner_read(path: str, endpoint: Callable[..., Reply], pool: BoundedPool, *, takes_query: bool = False) -> Rule:
    """Returns the rule of a call that reads for the owner alone. Its endpoint runs in a thread of `pool`."""
    return Rule(path, methods=["GET"], endpoint=run_in_pool(endpoint, pool), takes_query=takes_query, owner=True)
