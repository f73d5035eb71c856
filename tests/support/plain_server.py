"""Runs one tier under another WSGI server: python -m tests.support.plain_server waitress catalog

A validator between the server and the app raises when one of them breaks PEP 3333.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any
from wsgiref.simple_server import make_server
from wsgiref.validate import validator

import waitress

from conf.settings import Tier, load


def serve_by_waitress(app: Any, tier: Tier) -> None:
    waitress.serve(app, host=tier.bind.host, port=tier.bind.port, threads=8)


def serve_by_wsgiref(app: Any, tier: Tier) -> None:
    with make_server(tier.bind.host, tier.bind.port, app) as server:
        server.serve_forever()


SERVERS: dict[str, Callable[[Any, Tier], None]] = {"waitress": serve_by_waitress, "wsgiref": serve_by_wsgiref}


def main(server: str, name: str) -> None:
    """Serves the tier `name` by this server until it is killed."""
    settings = load()
    module = importlib.import_module(f"wsgi_apps.{name}")
    if name != "front_end":
        module.prepare(settings)
    SERVERS[server](validator(module.create_app()), getattr(settings, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
