"""Logs the owner in and out, and admits only the owner to the pages of the desk.

A browser has a session (wsgi_apps/sessions.py), which begins with the secret in a form, or with a link that is used
once. A program sends the secret as a bearer token with each request instead.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from werkzeug.http import dump_cookie

from domain.errors import TooManyLogins
from wsgi_apps.base import Request, Rule, error_reply
from wsgi_apps.bearer_auth import OPEN_PATHS, encode_authorization, is_authorized
from wsgi_apps.login_limit import LoginLimit
from wsgi_apps.login_links import LoginLinks
from wsgi_apps.pages.static import STATIC
from wsgi_apps.pages.templates import Templates, redirect
from wsgi_apps.reply import Reply
from wsgi_apps.roles import AUTHENTICATE
from wsgi_apps.sessions import LIFETIME_S, TOKEN_FIELD, TOKEN_HEADER, Sessions, attach_session, session_of

LOGIN, LOGOUT, HOME = "/login", "/logout", "/"
_SAFE_METHODS = ("GET", "HEAD")

WRONG_SECRET = "This is not the owner's secret."
WRONG_LINK = (
    "It was used already, is older than an hour, or was printed before the desk was started again. Print another one "
    "with the command login of the owner's program, or log in with the secret."
)
WRONG_TOKEN = "this form is not of your session: load its page again, and send it from there"


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cookie:
    """The cookie of a session: its name, and whether browsers send it over https alone.

    Cookies know no ports, so desks at two ports of one host need two names.
    """

    name: str
    secure: bool

    def __str__(self) -> str:
        return f"__Host-{self.name}" if self.secure else self.name

    def header(self, value: str, max_age_s: int) -> dict[str, str]:
        """Returns the header that sets the cookie. An age of 0 removes it."""
        options: dict[str, Any] = {"httponly": True, "samesite": "Strict", "secure": self.secure, "path": "/"}
        return {"Set-Cookie": dump_cookie(str(self), value, max_age=max_age_s, **options)}


class Login:
    """The login page and the check of every other request. `values` are those of OWNER_SECRET."""

    def __init__(
        self, values: Sequence[str], cookie: Cookie, templates: Templates, clock: Callable[[], float] = time.time
    ) -> None:
        self._values = values
        self._cookie = cookie
        self._templates = templates
        self._sessions = Sessions(values, clock)
        self._links = LoginLinks(values, clock)
        self._limit = LoginLimit()

    def rules(self) -> list[Rule]:
        """Returns the rules of the login and the logout."""
        return [
            Rule(LOGIN, methods=["GET"], endpoint=self.show, takes_query=True),
            Rule(LOGIN, methods=["POST"], endpoint=self.log_in),
            Rule(LOGOUT, methods=["POST"], endpoint=self.log_out),
        ]

    def refuse(self, request: Request) -> Reply | None:
        """Returns the reply to a request that is not the owner's; None for one that is, and for the login page.

        Raises TooManyLogins.
        """
        path: str = request.environ.get("PATH_INFO", "")
        if path in (*OPEN_PATHS, LOGIN) or path.startswith(STATIC):
            return None
        authorization: str = request.environ.get("HTTP_AUTHORIZATION", "")
        if authorization[:7].lower() == "bearer ":
            return None if self._is_right(request, authorization) else _unauthorized()
        session = self._sessions.find(request.cookies.get(str(self._cookie), ""))
        if session is None:
            return self._ask_to_log_in(request)
        if request.method not in _SAFE_METHODS:
            token = request.headers.get(TOKEN_HEADER) or request.form_field(TOKEN_FIELD)
            if not self._sessions.is_token_of(session, token):
                return error_reply(403, WRONG_TOKEN)
        attach_session(request.environ, session)
        return None

    def show(self, request: Request) -> Reply:
        """Shows the form, or logs in by the token of a link."""
        given = request.parameters("token", "next")
        target = local_path(given.get("next", ""))
        token = given.get("token")
        if token is None:
            return self._page(target)
        if not _is_opened(request):
            return self._link_problem(WRONG_LINK, 403)
        try:
            is_right = self._attempt(request, lambda: self._links.redeem(token))
        except TooManyLogins as error:
            return self._link_problem(_wait(error), 429, _retry_after(error))
        if is_right:
            return self._begin(target)
        # The owner who opens a used link again, or reloads it, is in already.
        is_in = self._sessions.find(request.cookies.get(str(self._cookie), "")) is not None
        return redirect(target) if is_in else self._link_problem(WRONG_LINK, 403)

    def log_in(self, request: Request) -> Reply:
        """Logs in by the secret in the form."""
        given = request.form_fields("secret", "next")
        target = local_path(given.get("next", ""))
        # Of a copied secret, the blanks around it are not meant.
        authorization = encode_authorization(given.get("secret", "").strip())
        try:
            is_right = self._is_right(request, authorization)
        except TooManyLogins as error:
            return self._page(target, _wait(error), 429, _retry_after(error))
        return self._begin(target) if is_right else self._page(target, WRONG_SECRET, 403)

    def log_out(self, request: Request) -> Reply:
        """Ends the session."""
        if session := session_of(request):
            self._sessions.end(session)
        return _with_headers(redirect(LOGIN), self._cookie.header("", 0))

    def _is_right(self, request: Request, authorization: str) -> bool:
        return self._attempt(request, lambda: is_authorized(authorization, self._values))

    def _attempt(self, request: Request, is_right: Callable[[], bool]) -> bool:
        """Returns whether the secret or the link is right, and logs a wrong one. Raises TooManyLogins."""
        address: str = request.environ.get("REMOTE_ADDR", "")
        if self._limit.attempt(address, is_right):
            return True
        _log.warning("a wrong secret of the owner, or a link that does not log in, came from %s", address or "a socket")
        return False

    def _begin(self, target: str) -> Reply:
        """Begins a session, and goes on to where the owner wanted to go."""
        return _with_headers(redirect(target), self._cookie.header(self._sessions.open(), LIFETIME_S))

    def _ask_to_log_in(self, request: Request) -> Reply:
        if not request.wants_page:
            return _unauthorized()
        target = HOME
        if request.method in _SAFE_METHODS:
            target = _target(request)
            if request.environ.get("HTTP_SEC_FETCH_SITE") in ("cross-site", "same-site"):
                # The owner follows a link of another site, and the browser has left out the cookie, which is Strict. It
                # sends the cookie when this page, which is ours, goes there.
                return self._templates.page("desk/continue.html", target=target)
        return redirect(f"{LOGIN}?{urlencode({'next': target})}" if target != HOME else LOGIN)

    def _link_problem(self, message: str, status: int, headers: Mapping[str, str] | None = None) -> Reply:
        """Returns a page that says why a link does not log in.

        Its own address has the token, which must not be the Referer of what the browser asks for next. Without a
        Referer the origin of a form is not known (wsgi_apps/origin.py), so the page has a link to the form instead.
        """
        no_referrer = {**(headers or {}), "Referrer-Policy": "no-referrer"}
        values = {"reason": "This link does not log in", "request_id": None, "has_session": False}
        return self._templates.page("desk/error.html", status, no_referrer, message=message, **values)

    def _page(
        self, target: str, problem: str = "", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Reply:
        return self._templates.page("desk/login.html", status, headers, target=target, problem=problem)


def _is_opened(request: Request) -> bool:
    """Whether a link is opened in a window, as far as the browser says.

    A link is used once, and a browser that fetches in advance would use it up. An image or a frame of any other site
    could send wrong tokens in the owner's name, until the desk looks at no secret of the owner either.
    """
    header = request.environ.get
    return (
        request.method == "GET"
        and "HTTP_SEC_PURPOSE" not in request.environ
        and header("HTTP_SEC_FETCH_DEST", "document") == "document"
    )


def local_path(text: str) -> str:
    """Returns the text if it is a path of this tier, with or without a query; else HOME.

    Browsers take // and /\\ for the start of another host, and leave out tabs and line ends.
    """
    is_local = text.isascii() and text.isprintable() and text.startswith("/") and not text.startswith("//")
    if not is_local or "\\" in text or text.partition("?")[0] in (LOGIN, LOGOUT):
        return HOME
    return text


def _target(request: Request) -> str:
    """Returns the path and the query of a request, percent-encoded."""
    path = quote(request.environ.get("PATH_INFO", "").encode("latin-1"), safe="/:@!$&'()*+,;=~-._")
    query = request.environ.get("QUERY_STRING", "")
    return local_path(f"{path}?{query}" if query else path)


def _wait(error: TooManyLogins) -> str:
    until = f"Wait {error.retry_after_s} s; until then the right one does not log in either."
    return f"Too many wrong secrets were sent. {until}"


def _retry_after(error: TooManyLogins) -> dict[str, str]:
    return {"Retry-After": str(error.retry_after_s)}


def _unauthorized() -> Reply:
    return error_reply(401, "only the owner may do this: send OWNER_SECRET as a bearer token, or log in", AUTHENTICATE)


def _with_headers(reply: Reply, headers: dict[str, str]) -> Reply:
    return Reply(reply.body, reply.status, {**(reply.headers or {}), **headers}, reply.content_type)
