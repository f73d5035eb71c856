"""gunicorn's settings for the order tier: gunicorn -c conf/order.py"""

from typing import Any

from conf import common
from conf.common import *
from conf.common import bind_of, check_reload, on_ready, settings
from conf.settings import load
from wsgi_apps.order import prepare, start_recovery

wsgi_app = "wsgi_apps.order:create_app()"
proc_name = "toystore order"
bind = bind_of(settings.order)
workers = settings.order.workers


def when_ready(server: Any) -> None:
    on_ready(server, settings.order, prepare)


def on_reload(server: Any) -> None:
    check_reload(server, settings.order)


def post_worker_init(worker: Any) -> None:  # type: ignore[no-redef]
    common.post_worker_init(worker)
    start_recovery(load())  # as its app has loaded them: a reload may find another TIER_SECRET_FILE
