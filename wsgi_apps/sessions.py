"""The sessions of the owner's desk: signed cookies, and the tokens in their forms.

A cookie has the id and the time of a login, and nothing else is kept of it. It is signed with a key that is derived
from OWNER_SECRET, so another secret ends all sessions. A request with nothing but the cookie, such as one that a page
of another site makes, changes nothing: each form carries a token as well, which is derived from the id, and which only
the desk's own pages show.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itsdangerous import BadData, Signer, URLSafeSerializer

from wsgi_apps.base import Request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LIFETIME_S = 12 * 3600
# A clock that was set back makes a time lie in the future. A longer step ends the session.
CLOCK_STEP_S = 60

# The field of a form, and the header of a script's request, that has the token of the session.
TOKEN_FIELD = "token"
TOKEN_HEADER = "X-Form-Token"

SIGNER: dict[str, Any] = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
_VARIABLE = "toystore.session"  # in the environ of a request


@dataclass(frozen=True, slots=True)
class Session:
    """A login of the owner. `form_token` belongs into each form of its pages."""

    id: str
    issued_s: float  # since the epoch
    form_token: str


class Sessions:
    """Opens, finds and ends sessions. `values` are those of OWNER_SECRET: the first one signs, all are accepted."""

    def __init__(self, values: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        keys = list(reversed(values))  # itsdangerous signs with the last key
        self._cookies = URLSafeSerializer(keys, salt="toystore session", signer_kwargs=SIGNER)
        self._tokens = Signer(keys, salt="toystore form", **SIGNER)
        self._clock = clock
        self._ended: dict[str, float] = {}  # the ids of ended sessions that have not expired, and when they expire
        self._mutex = threading.Lock()

    def open(self) -> str:
        """Returns the cookie of a new session."""
        return str(self._cookies.dumps([secrets.token_urlsafe(16), self._clock()]))

    def find(self, cookie: str) -> Session | None:
        """Returns the session of a cookie; None when it is not signed by us, has expired or was ended."""
        try:
            session_id, issued_s = self._cookies.loads(cookie)
        except BadData:
            return None
        if not -CLOCK_STEP_S <= self._clock() - issued_s < LIFETIME_S:
            return None
        with self._mutex:
            if session_id in self._ended:
                return None
        return Session(session_id, issued_s, self._tokens.get_signature(session_id).decode())

    def end(self, session: Session) -> None:
        """Ends a session, so that a copy of its cookie is of no use either, as long as this process lives."""
        with self._mutex:
            now = self._clock()
            self._ended = {ended: expires_s for ended, expires_s in self._ended.items() if expires_s > now}
            self._ended[session.id] = session.issued_s + LIFETIME_S

    def is_token_of(self, session: Session, token: str) -> bool:
        """Whether the token is that of the session's forms. It is compared in constant time."""
        return self._tokens.verify_signature(session.id.encode(), token.encode())


def attach_session(environ: "WSGIEnvironment", session: Session) -> None:
    """Makes this the session of a request."""
    environ[_VARIABLE] = session


def session_of(request: Request) -> Session | None:
    """Returns the session of a request; None when a program sends OWNER_SECRET instead."""
    session: Session | None = request.environ.get(_VARIABLE)
    return session


def form_token(request: Request) -> str:
    """Returns the token for the forms of a page, in a field called TOKEN_FIELD; empty for a program's request."""
    session = session_of(request)
    return session.form_token if session else ""
