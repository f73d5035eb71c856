"""gunicorn's settings for the order tier: gunicorn -c conf/order.py"""

import sys
from typing import Any

try:
    from conf.common import *
    from conf.common import announce, closed_bind_of, settings
    from wsgi_apps.order import prepare, start_recovery
except ModuleNotFoundError as error:
    if error.name != "conf":
        raise
    sys.exit("toy store: run gunicorn in the root of the repository, where the folder conf is")

wsgi_app = "wsgi_apps.order:create_app()"
proc_name = "toystore order"
bind = closed_bind_of(settings.order)
workers = settings.order.workers


def when_ready(server: Any) -> None:
    announce(server, settings.order, prepare)


def post_worker_init(_worker: Any) -> None:
    start_recovery(settings)
