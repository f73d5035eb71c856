"""gunicorn's settings for the order tier: gunicorn -c conf/order.py"""

from typing import Any

from conf.common import *
from conf.common import announce, bind_of, ignore_hangups_too, settings, take_over_again
from conf.settings import load
from wsgi_apps.order import prepare, start_recovery

wsgi_app = "wsgi_apps.order:create_app()"
proc_name = "toystore order"
bind = bind_of(settings.order)
workers = settings.order.workers


def when_ready(server: Any) -> None:
    announce(server, settings.order, prepare)


def on_reload(server: Any) -> None:
    take_over_again(server, settings.order)


def post_worker_init(_worker: Any) -> None:
    ignore_hangups_too()
    start_recovery(load())  # as its app has loaded them: a reload may find another TIER_SECRET_FILE
