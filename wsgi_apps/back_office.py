"""The back office: the tier of the owner's desk. It keeps no state of the store, and asks catalog and order tier."""

from collections.abc import Iterable
from http import HTTPStatus

from wsgi_apps.base import App, Request, Rule
from wsgi_apps.pages.api_docs import ApiDocs
from wsgi_apps.pages.desk.login import Login
from wsgi_apps.pages.static import StaticFiles
from wsgi_apps.pages.templates import Templates
from wsgi_apps.ready import Readiness
from wsgi_apps.reply import BoundedPool, Deferred, Reply
from wsgi_apps.sessions import form_token, session_of

# In seconds, for a call to a tier behind. The owner's questions read more than a shopper's.
DEADLINE_S = 10.0
# Shorter than the 2.5 s for which `python -m conf.health` waits.
READY_TIMEOUT_S = 2.0
# For static files, of which a large one is compressed at its first request.
FILE_THREADS = 1
MAX_QUEUED_FILES = 32


class BackOfficeApp(App):
    """Serves the owner's desk to the owner alone. `pages` are the rules of its pages.

    A page may take for granted that its request is the owner's, and that a form is one of the desk's own.
    """

    def __init__(
        self,
        login: Login,
        pages: Iterable[Rule],
        templates: Templates,
        static: StaticFiles,
        readiness: Readiness | None = None,
    ) -> None:
        self._login = login
        self._templates = templates
        self._static = static
        rules = [
            *login.rules(),
            static.rule(BoundedPool(FILE_THREADS, MAX_QUEUED_FILES)),
            *ApiDocs("owner", "The owner's desk", templates).rules(),
            *pages,
        ]
        super().__init__(rules, probe=lambda: None, readiness=readiness)

    def answer(self, request: Request) -> "Reply | Deferred[object]":
        """Answers the owner. All others get the login page, whatever they ask for."""
        refusal = self._login.refuse(request)
        if refusal is None:
            return super().answer(request)
        return refusal if refusal.status < 400 else self.show_error(request, refusal)

    def show_error(self, request: Request, error: Reply) -> Reply:
        """Shows an error as a page to a browser, and as JSON to a program."""
        if not request.wants_page:
            return error
        return self._templates.page(
            "desk/error.html",
            error.status,
            error.headers,
            reason=HTTPStatus(error.status).phrase,
            message=error.body["error"]["message"],
            request_id=(error.headers or {}).get("X-Request-Id"),
            has_session=session_of(request) is not None,
            token=form_token(request),
            here="",
        )
