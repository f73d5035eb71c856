"""Runs the tiers with the owner's calls in this process, and yields clients of the owner."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from domain.owner import BookKeeping
from tests.support.stub_server import answer_from, tier
from wsgi_apps.base import App
from wsgi_apps.bearer_auth import BearerAuthMiddleware, encode_authorization
from wsgi_apps.owner_orders import EncodedBooks, OwnerOrderCalls
from wsgi_apps.tier_client import TierClient

OWNER_TOKEN = "owner---" * 4


@contextmanager
def owners_client(app: App, **options: Any) -> Iterator[TierClient]:
    """Serves the app of a tier that knows the owner, and yields a client of the owner."""
    guarded = BearerAuthMiddleware(app, None, [OWNER_TOKEN])
    authorization = encode_authorization(OWNER_TOKEN)
    with tier(answer_from(guarded), authorization=authorization, for_owner=True, **options) as client:
        yield client


def app_of_owner_orders(books: EncodedBooks, keeper: BookKeeping) -> App:
    """Returns an app that has the owner's calls to the order tier alone."""
    return App(OwnerOrderCalls(books, keeper).rules(), probe=lambda: None)
