"""The limit: a bare Werkzeug app with a constant response, the fastest app that gunicorn's gthread can serve here.

This is the app and its gunicorn file: `gunicorn -c bench/limit.py`, with the address in BIND. The settings are the
fastest that were found: two workers, each pinned to a core, with 16 threads.
"""

import os
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

wsgi_app = "bench.limit:app"
bind = os.environ.get("BIND", "127.0.0.1:7000")
worker_class = "gthread"
workers = 2
threads = 16
keepalive = 75
# A socket for each worker: the kernel balances connections over them. Of a shared socket one worker sometimes gets all.
reuse_port = True
control_socket_disable = True
loglevel = "warning"

BODY = b'{"data": {"name": "Tux", "price": 25.99, "quantity": 80}}'


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Parses the request, and returns the constant."""
    Request(environ)
    return Response(BODY, content_type="application/json")(environ, start_response)


def post_fork(_server: Any, worker: Any) -> None:
    """Pins the worker to a core."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[worker.age % len(cores)]})
