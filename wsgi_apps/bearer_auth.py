"""Keeps a tier behind to the tiers before it, by the secret that they share."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from conf.secret import Secrets
from wsgi_apps.base import error_reply, send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


OPEN_PATHS = ("/health", "/ready")


class BearerAuthMiddleware:
    """The same app, for those who know one of the secrets.

    /health and /ready answer everybody: they tell nothing but whether the tier serves, and whoever watches over a tier,
    such as a container's health check or a load balancer, need not be able to sell its stock.
    """

    def __init__(self, app: "WSGIApplication", secrets: Secrets) -> None:
        self._app = app
        self._secrets = secrets

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("PATH_INFO") in OPEN_PATHS or self._secrets.accept(environ.get("HTTP_AUTHORIZATION", "")):
            return self._app(environ, start_response)
        headers = {"WWW-Authenticate": 'Bearer realm="toy store"'}
        refusal = error_reply(401, "this tier answers to the store's other tiers alone", headers)
        return send(refusal, environ, start_response)


def guarded(app: "WSGIApplication", secrets: Secrets | None) -> "WSGIApplication":
    """The app as it is served: guarded if there are secrets."""
    return app if secrets is None else BearerAuthMiddleware(app, secrets)
