"""The templates: values are escaped, misspelt names are errors, and every page has the same headers."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from wsgi_apps.pages import templates
from wsgi_apps.pages.templates import PAGE_HEADERS, Templates, redirect


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "FOLDER", tmp_path)
    (tmp_path / "page.html").write_text("<p>{{ shop }}: {{ name }}</p>")


def test_a_value_is_escaped() -> None:
    reply = Templates(shop="Toys").page("page.html", name="<script>")
    assert reply.body == b"<p>Toys: &lt;script&gt;</p>"


def test_a_name_without_a_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        Templates().page("page.html", name="Tux")


def test_a_page_has_its_own_headers_beside_those_of_all_pages() -> None:
    reply = Templates(shop="Toys").page("page.html", 503, {"Retry-After": "1"}, name="Tux")
    assert (reply.status, reply.headers) == (503, {**PAGE_HEADERS, "Retry-After": "1"})


def test_a_form_that_was_done_redirects_to_a_page() -> None:
    reply = redirect("/receipts/k")
    assert reply.headers is not None
    assert (reply.status, reply.body, reply.headers["Location"]) == (303, b"", "/receipts/k")
