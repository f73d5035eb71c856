"""The owner's desk without sockets: a client that is logged in, and a reader of its pages."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from werkzeug.test import Client, TestResponse

from wsgi_apps.back_office import BackOfficeApp
from wsgi_apps.pages.desk.formats import template_names
from wsgi_apps.pages.desk.login import Cookie, Login
from wsgi_apps.pages.desk.rules import Services, desk_rules
from wsgi_apps.pages.static import StaticFiles
from wsgi_apps.pages.templates import Templates

SECRET = "the-secret-of-the-owner-in-these-tests"
BROWSER = {"Accept": "text/html,application/xhtml+xml"}
PROGRAM = {"Authorization": f"Bearer {SECRET}"}
_VOID = {"input", "meta", "link", "br", "img", "hr"}


@dataclass
class Form:
    """A form of a page: where it is sent to, and its fields with what stands in them."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class Table:
    """A table of a page: the texts of its cells by rows, and those of its header."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)


class Page(HTMLParser):
    """A page as its reader sees it. Reading asserts that each element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.text = ""
        self.forms: list[Form] = []
        self.tables: list[Table] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.by_class: dict[str, list[str]] = {}
        self._open: list[tuple[str, str]] = []  # tags and classes
        self.feed(html)
        self.close()
        assert not self._open, self._open
        assert len(set(self.ids)) == len(self.ids), "an id stands twice"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if identifier := values.get("id"):
            self.ids.append(identifier)
        match tag:
            case "form":
                self.forms.append(Form(values.get("action") or "", values.get("method") or "get"))
            case "input" if self.forms and values.get("name"):
                if values.get("type") != "checkbox" or "checked" in values:
                    self.forms[-1].fields[values["name"] or ""] = values.get("value") or ""
            case "a":
                self.links.append(values.get("href") or "")
            case "table":
                self.tables.append(Table())
            case "tr":
                self.tables[-1].rows.append([])
            case "td" | "th":
                self.tables[-1].rows[-1].append("")
        if tag not in _VOID:
            classes = values.get("class") or ""
            self._open.append((tag, classes))
            for name in classes.split():
                self.by_class.setdefault(name, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1][0] == tag, f"</{tag}> closes {self._open[-1:]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        for tag, classes in self._open:
            if tag == "caption":
                self.tables[-1].caption += data
            elif tag in ("td", "th"):
                self.tables[-1].rows[-1][-1] += data
            for name in classes.split():
                self.by_class[name][-1] += data

    def form(self, action: str, /, **fields: str) -> Form:
        """Returns the form that posts to this path and has these fields."""
        posts = [form for form in self.forms if form.method == "post" and form.action == action]
        [found] = [form for form in posts if fields.items() <= form.fields.items()]
        return found

    def only(self, name: str) -> str:
        """Returns the text of the one element of this class."""
        [text] = self.by_class.get(name, [])
        return text.strip()


class DeskClient:
    """A browser at the desk, whose owner has logged in."""

    def __init__(self, services: Services, currency: str | None = "EUR") -> None:
        static = StaticFiles()
        templates = Templates(static=static.url, currency=currency, **template_names(currency))
        login = Login([SECRET], Cookie("desk", secure=False), templates)
        rules = desk_rules(services, templates, currency)
        self.client = Client(BackOfficeApp(login, rules, templates, static))
        response = self.client.post("/login", data={"secret": SECRET, "next": "/"}, headers=BROWSER)
        assert response.status_code == 303

    def get(self, path: str, status: int = 200) -> Page:
        """Returns a page."""
        response = self.client.get(path, headers=BROWSER)
        return read_page(response, status)

    def send(self, form: Form, **fields: str) -> TestResponse:
        """Sends a form with these values in its fields."""
        return self.client.open(form.action, method=form.method, data={**form.fields, **fields}, headers=BROWSER)

    def done(self, form: Form, **fields: str) -> Page:
        """Sends a form, and returns the page that the browser goes to."""
        response = self.send(form, **fields)
        assert response.status_code == 303, response.text
        return self.get(response.headers["Location"])

    def json(self, path: str, status: int = 200) -> Any:
        """Returns the JSON twin of a page."""
        response = self.client.get(path, headers=PROGRAM)
        assert (response.status_code, response.content_type) == (status, "application/json"), response.text
        return json.loads(response.text)

    def post(self, path: str, body: Any, key: str = "", status: int = 200) -> Any:
        """Sends JSON as a program, and returns the JSON of the answer."""
        headers = {**PROGRAM, **({"Idempotency-Key": key} if key else {})}
        response = self.client.post(path, json=body, headers=headers)
        assert (response.status_code, response.content_type) == (status, "application/json"), response.text
        return json.loads(response.text)


def read_page(response: TestResponse, status: int = 200) -> Page:
    """Returns the page of a response."""
    assert (response.status_code, response.content_type) == (status, "text/html; charset=utf-8"), response.text
    return Page(response.text)


def column(table: Table, name: str) -> Sequence[str]:
    """Returns the cells under this header."""
    index = table.rows[0].index(name)
    return [row[index] for row in table.rows[1:]]


def assert_marked(page: Page, field: str | None, problem: str) -> None:
    """Asserts that the field of this id alone is marked, described by the problem and has the focus.

    Without a field none is marked, and the problem has the focus.
    """
    marked = [values for _, values in page.tags if "aria-invalid" in values or "aria-describedby" in values]
    expected = [] if field is None else [(field, "true", problem)]
    assert [(values["id"], values["aria-invalid"], values["aria-describedby"]) for values in marked] == expected
    focused = [values["id"] for _, values in page.tags if "autofocus" in values]
    assert focused == [problem if field is None else field]
