"""gunicorn's settings for the front end: gunicorn -c conf/front_end.py"""

from typing import Any

from conf.common import *  # gunicorn takes the names of this module as its settings and hooks
from conf.common import bind_of, check_reload, on_ready, settings
from conf.wiring import prepare_front_end
from server.cores import choose_core, pin

wsgi_app = "conf.wiring:create_front_end_app()"
proc_name = "toystore front_end"
bind = bind_of(settings.front_end)
workers = settings.front_end.workers


def pre_fork(server: Any, worker: Any) -> None:
    choose_core(server, worker)


def post_fork(_server: Any, worker: Any) -> None:
    pin(worker)


def when_ready(server: Any) -> None:
    on_ready(server, settings.front_end, prepare_front_end)


def on_reload(server: Any) -> None:
    check_reload(server, settings.front_end)
