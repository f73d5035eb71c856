"""The matched paths that a tier keeps, which strangers choose."""

import gc
import tracemalloc
from typing import Any
from urllib.parse import quote

from werkzeug.test import EnvironBuilder

from db.catalog import CatalogStore
from domain.checkout import Checkout
from wsgi_apps.base import MAX_CACHED_MATCHES
from wsgi_apps.front_end import FrontEndApp


def test_paths_that_strangers_choose_take_no_more_than_is_said(catalog: CatalogStore, checkout: Checkout) -> None:
    """One wide character makes Python take four bytes for each."""
    app = FrontEndApp(catalog, checkout)
    start_response: Any = lambda *_: None  # noqa: E731
    environ = EnvironBuilder("/").get_environ()
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(MAX_CACHED_MATCHES):
            name = f"{number:08d}" + "x" * 4_020 + "\U0001f427"
            path = f"/products/{name}"
            assert len(f"GET {quote(path)} HTTP/1.1\r\n") <= 4_094, "the server takes it"
            list(app({**environ, "PATH_INFO": path.encode().decode("latin-1")}, start_response))
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept <= 4 * 2**20, f"{kept / 2**20:.0f} MiB"
