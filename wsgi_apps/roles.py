"""Who makes a request: the owner or another tier. `Rule(..., owner=True)` admits the owner alone.

BearerAuthMiddleware tells the role by the token of the request. A rule of the owner refuses every request of which no
middleware has said that it is the owner's, so an app that is served without the middleware is closed, not open.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from wsgi_apps.errors import encode_error
from wsgi_apps.reply import Reply

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# The variable in the environ of a request. No client can set it: those of its headers begin with HTTP_.
_VARIABLE = "toystore.role"
AUTHENTICATE = {"WWW-Authenticate": 'Bearer realm="toy store"'}


class Role(Enum):
    """The role of a client at a tier that knows OWNER_SECRET."""

    OWNER = auto()
    TIER = auto()
    STRANGER = auto()  # it has sent neither token; a tier without TIER_SECRET serves it like another tier


def set_role(environ: "WSGIEnvironment", role: Role) -> None:
    """Says who makes this request."""
    environ[_VARIABLE] = role


def role_of(environ: "WSGIEnvironment") -> Role | None:
    """Returns who makes this request; None when no middleware has said it, for the tier has no OWNER_SECRET."""
    role: Role | None = environ.get(_VARIABLE)
    return role


def for_owner_if_known(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Returns an endpoint that refuses all but the owner where the tier knows one, and nobody where it knows none."""
    guarded = owner_only(endpoint)

    def call(request: Any, **values: Any) -> Any:
        return (endpoint if role_of(request.environ) is None else guarded)(request, **values)

    return call


def owner_only(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Returns an endpoint that calls `endpoint` for the owner, and refuses all others.

    The check is part of the endpoint: requests for other endpoints pay nothing for it.
    """

    def call(request: Any, **values: Any) -> Any:
        match role_of(request.environ):
            case Role.OWNER:
                return endpoint(request, **values)
            case Role.STRANGER:
                return _refuse(401, "only the owner may do this, with OWNER_SECRET as a bearer token")
            case Role.TIER:
                return _refuse(403, "only the owner may do this, with OWNER_SECRET in the place of TIER_SECRET")
        return _refuse(403, "only the owner may do this, and this tier knows none: set its OWNER_SECRET")

    return call


def _refuse(status: int, message: str) -> Reply:
    return Reply(encode_error(status, message), status, AUTHENTICATE if status == 401 else None)
