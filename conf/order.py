"""gunicorn's settings for the order tier: gunicorn -c conf/order.py"""

from typing import Any

from conf import common
from conf.common import *  # gunicorn takes the names of this module as its settings and hooks
from conf.common import bind_of, check_reload, on_ready, settings
from conf.wiring import OrderTier, prepare_order

wsgi_app = "conf.wiring:create_order_app()"
proc_name = "toystore order"
bind = bind_of(settings.order)
workers = settings.order.workers


def when_ready(server: Any) -> None:
    on_ready(server, settings.order, prepare_order)


def on_reload(server: Any) -> None:
    check_reload(server, settings.order)


def post_worker_init(worker: Any) -> None:  # type: ignore[no-redef]
    """Starts the recovery of this worker, after what all tiers do."""
    common.post_worker_init(worker)
    if isinstance(worker.wsgi, OrderTier):  # with --reload, gunicorn serves an app of its own when ours fails to load
        worker.wsgi.recovery.start()
