"""Runs one tier under another WSGI server: python -m tests.support.plain_server waitress catalog

A validator between the server and the app raises when one of them breaks PEP 3333.
"""

import sys
from collections.abc import Callable
from typing import Any
from wsgiref.simple_server import make_server
from wsgiref.validate import validator

import waitress

from conf.settings import Settings, Tier, load
from conf.wiring import create_catalog_app, create_front_end_app, create_order_app, prepare_catalog, prepare_order


def serve_with_waitress(app: Any, tier: Tier) -> None:
    """Serves with several threads."""
    waitress.serve(app, host=tier.bind.host, port=tier.bind.port, threads=8)


def serve_with_wsgiref(app: Any, tier: Tier) -> None:
    """Serves one request after the other."""
    with make_server(tier.bind.host, tier.bind.port, app) as server:
        server.serve_forever()


SERVERS: dict[str, Callable[[Any, Tier], None]] = {"waitress": serve_with_waitress, "wsgiref": serve_with_wsgiref}
# By the name of a tier: its WSGI app, and the preparation of its state.
TIERS: dict[str, tuple[Callable[[], Any], Callable[[Settings], None]]] = {
    "catalog": (create_catalog_app, prepare_catalog),
    "order": (create_order_app, prepare_order),
    "front_end": (create_front_end_app, lambda _settings: None),
}


def main(server: str, name: str) -> None:
    """Serves the tier `name` with this server until the process is killed."""
    settings = load()
    create_app, prepare = TIERS[name]
    prepare(settings)
    SERVERS[server](validator(create_app()), getattr(settings, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
