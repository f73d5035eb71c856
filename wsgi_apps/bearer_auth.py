"""Tells by bearer tokens who asks a tier behind the front end: a tier (TIER_SECRET) or the owner (OWNER_SECRET)."""

import hmac
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wsgi_apps.base import error_reply, send
from wsgi_apps.roles import AUTHENTICATE, Role, set_role

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

    The owner may ask for everything, and is told apart from a tier by a token of its own. Without `tokens` for the
    tiers every request is passed on, and a request without the owner's token is a stranger's. There are two tokens of a
    kind while a new one replaces the old one.
    """

    def __init__(
        self, app: "WSGIApplication", tokens: Sequence[str] | None, owner_tokens: Sequence[str] | None = None
    ) -> None:
        self._app = app
        self._tokens = tokens or ()
        self._is_open = tokens is None
        self._owner_tokens = owner_tokens or ()
        self._knows_owner = owner_tokens is not None

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        role = self._role(environ.get("HTTP_AUTHORIZATION", ""))
        if self._knows_owner:
            set_role(environ, role)
        if role is not Role.STRANGER or self._is_open or environ.get("PATH_INFO") in OPEN_PATHS:
            return self._app(environ, start_response)
        refusal = error_reply(401, "this tier answers to the store's other tiers alone", AUTHENTICATE)
        return send(refusal, environ, start_response)

    def _role(self, authorization: str) -> Role:
        """Returns whose token it is. The tiers, which ask the most often, are looked for first."""
        if not authorization:
            return Role.STRANGER
        if is_authorized(authorization, self._tokens):
            return Role.TIER
        if is_authorized(authorization, self._owner_tokens):
            return Role.OWNER
        return Role.STRANGER
