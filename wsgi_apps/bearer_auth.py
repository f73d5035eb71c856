"""Admits only the store's own tiers to a tier behind the front end, by bearer tokens that they share (TIER_SECRET)."""

import hmac
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wsgi_apps.base import error_reply, send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# These paths need no token, and say only whether the tier serves. A monitor, such as a container's health check or a
# load balancer, therefore needs no secret that could sell the stock.
OPEN_PATHS = ("/health", "/ready")


def encode_authorization(token: str) -> str:
    """Returns the Authorization header that carries this token."""
    return f"Bearer {token}"


def is_authorized(authorization: str, tokens: Sequence[str]) -> bool:
    """Whether this Authorization header carries one of the tokens.

    It compares with every token, in constant time: its duration tells neither which token matched nor how much of one.
    """
    scheme, _, given = authorization.partition(" ")
    # compare_digest accepts only ASCII text, and a header may have any character of Latin-1.
    matches = [hmac.compare_digest(given.encode("latin-1"), token.encode()) for token in tokens]
    return scheme.lower() == "bearer" and any(matches)


class BearerAuthMiddleware:
    """Passes on requests to open paths and requests with one of the tokens. Answers 401 to all others.

    There are two tokens while a new one replaces the old one.
    """

    def __init__(self, app: "WSGIApplication", tokens: Sequence[str]) -> None:
        self._app = app
        self._tokens = tokens

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        if environ.get("PATH_INFO") in OPEN_PATHS or is_authorized(authorization, self._tokens):
            return self._app(environ, start_response)
        headers = {"WWW-Authenticate": 'Bearer realm="toy store"'}
        refusal = error_reply(401, "this tier answers to the store's other tiers alone", headers)
        return send(refusal, environ, start_response)
