"""gunicorn's settings for the back office: gunicorn -c conf/back_office.py"""

from typing import Any

from conf.common import *  # gunicorn takes the names of this module as its settings and hooks
from conf.common import bind_of, check_reload, on_ready, settings
from conf.wiring import prepare_back_office

wsgi_app = "conf.wiring:create_back_office_app()"
proc_name = "toystore back_office"
bind = bind_of(settings.back_office)
workers = settings.back_office.workers
# The owner's desk is no hot path, and it streams files, each in a thread. The store's own worker has one thread.
worker_class = "gthread"
threads = settings.back_office.threads
# The link that logs in has its token in the query, which must not be in a log.
logger_class = "conf.logs.DeskLogger"


def when_ready(server: Any) -> None:
    on_ready(server, settings.back_office, prepare_back_office)


def on_reload(server: Any) -> None:
    check_reload(server, settings.back_office)
