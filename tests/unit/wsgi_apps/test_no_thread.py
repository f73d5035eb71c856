"""A system that gives no thread."""

import threading

import pytest
from werkzeug.test import Client

from db.catalog import CatalogStore
from domain.checkout import Checkout
from wsgi_apps.front_end import FrontEndApp


def test_a_shopper_hears_503_when_the_system_gives_no_thread(
    catalog: CatalogStore, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client = Client(FrontEndApp(catalog, checkout))
    monkeypatch.setattr(threading.Thread, "start", cannot)
    assert client.get("/products/Tux").status_code == 503
