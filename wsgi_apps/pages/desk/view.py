"""Renders each page of the desk twice from one handler: as HTML for a browser, and as JSON for a program."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from domain.errors import StoreError, Unavailable
from wsgi_apps.base import RETRY_AFTER_S, Request
from wsgi_apps.errors import encode_error, status_of
from wsgi_apps.pages.templates import Templates
from wsgi_apps.reply import Reply
from wsgi_apps.sessions import TOKEN_FIELD, form_token

# A cache keeps the two forms of a page apart. None may keep either, but a browser's Back shows what it has.
VARY = {"Vary": "Accept"}

CATALOG, ORDER_TIER = "the catalog", "the order tier"


class View:
    """Makes the replies of the desk."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def show(
        self, request: Request, template: str, encode: Callable[[], Any], *, status: int = 200, **values: Any
    ) -> Reply:
        """Returns the page for a browser, made of `values`, or what `encode` returns for a program."""
        if not request.wants_page:
            return Reply(encode(), status, VARY)
        return self._templates.page(f"desk/{template}", status, VARY, token=form_token(request), **values)

    def error(self, request: Request, template: str, error: StoreError, **values: Any) -> Reply:
        """Returns the page that shows an error beside its form, or the error as JSON."""
        status = status_of(error)
        return self.show(request, template, lambda: encode_error(status, error.message), status=status, **values)

    def page(self, endpoint: Callable[..., Reply]) -> Callable[..., Reply]:
        """Returns an endpoint that shows a page of its own when a tier does not answer.

        The page has the form that was sent, with its key, and offers to send it again: whatever became of the first
        one, it is done once.
        """

        def answer(request: Request, **values: str) -> Reply:
            try:
                return endpoint(request, **values)
            except Unavailable as error:
                if not request.wants_page:
                    raise
                return self._unavailable(request, error)

        return answer

    def _unavailable(self, request: Request, error: Unavailable) -> Reply:
        fields = parse_qsl(request.form_text, keep_blank_values=True) if request.has_form else []
        path = request.environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8")
        return self._templates.page(
            "desk/unavailable.html",
            status_of(error),
            {**VARY, "Retry-After": str(error.retry_after_s or RETRY_AFTER_S)},
            token=form_token(request),
            here="",
            message=error.message,
            path=path,
            query=request.environ.get("QUERY_STRING", ""),
            is_form=request.method == "POST",
            fields=[(name, value) for name, value in fields if name != TOKEN_FIELD],
        )


@contextmanager
def asking(tier: str) -> Iterator[None]:
    """Makes the message of an Unavailable within the block name the tier that was asked."""
    try:
        yield
    except Unavailable as error:
        if tier in error.message:
            raise
        message = "does not answer now" if error.message == Unavailable.message else f"cannot do this: {error.message}"
        raise Unavailable(f"{tier} {message}", error.retry_after_s) from error
