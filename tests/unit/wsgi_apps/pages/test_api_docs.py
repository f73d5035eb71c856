"""The description of an API: the document as JSON, and its page, which loads nothing from elsewhere."""

import json
import re

import pytest
from werkzeug.test import Client

from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.pages.api_docs import CSP, load_document, swagger_files


@pytest.fixture
def front_end(catalog: CatalogStore, checkout: Checkout) -> Client:
    return Client(FrontEndApp(catalog, checkout))


def test_the_document_is_json_without_the_helpers_of_its_yaml(front_end: Client) -> None:
    response = front_end.get("/openapi.json")
    assert response.content_type == "application/json"
    document = json.loads(response.text)
    assert document == load_document("shop")
    assert "x-replies" not in document


def test_the_page_names_the_document_and_files_of_its_own_tier(front_end: Client) -> None:
    response = front_end.get("/docs")
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    assert 'data-document="/openapi.json"' in response.text
    addresses = re.findall(r'(?:src|href)="(.*?)"', response.text)
    files = [address for address in addresses if address not in ("/", "/openapi.json")]
    assert len(files) == len(swagger_files()) + 2  # and docs.css, docs.js
    for file in files:
        assert file.startswith("/static/")
        assert front_end.get(file).status_code == 200


def test_the_page_has_no_inline_script_and_a_policy_that_would_refuse_one(front_end: Client) -> None:
    response = front_end.get("/docs")
    assert re.findall(r"<script(?! src=)|<style|\son\w+=", response.text) == []
    assert response.headers["Content-Security-Policy"] == CSP
    assert "default-src 'self'" in CSP and "script-src" not in CSP


def test_a_product_may_be_called_docs(front_end: Client, catalog: CatalogStore) -> None:
    response = front_end.post("/docs/3")
    assert (response.status_code, response.json) == (404, {"error": {"code": 404, "message": "product not found"}})
