"""Renders the Jinja2 templates of the pages, and adds the headers that every page has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from wsgi_apps.reply import Reply

FOLDER = Path(__file__).parent / "templates"

HTML = "text/html; charset=utf-8"
# A page loads nothing from elsewhere, sends its forms to its own tier, and cannot be framed. The referrer stays within
# the tier, because the address of a receipt is its key; without any referrer a form would have the Origin "null".
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class Templates:
    """The templates of a tier's pages. `names` are values and functions that every template may use."""

    def __init__(self, **names: Any) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,  # a misspelt name is an error, and not an empty text
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(names)

    def page(self, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any) -> Reply:
        """Returns a page as a reply."""
        return html(self.render(template, **values).encode(), status, headers)

    def render(self, template: str, **values: Any) -> Markup:
        """Returns a page, or a part of one, as HTML."""
        return Markup(self._environment.get_template(template).render(values))


def html(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Returns the reply with a page."""
    return Reply(body, status, {**PAGE_HEADERS, **(headers or {})}, HTML)


def redirect(path: str) -> Reply:
    """Returns the reply to a form that was done: a 303, after which the browser gets the page at `path`."""
    return Reply(b"", 303, {**PAGE_HEADERS, "Location": path}, HTML)
