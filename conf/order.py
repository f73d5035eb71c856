"""gunicorn's settings for the order tier: gunicorn -c conf/order.py"""

import logging
from typing import Any

from conf import common
from conf.common import *  # gunicorn takes the names of this module as its settings and hooks
from conf.common import bind_of, check_reload, on_ready, settings
from conf.wiring import OrderTier, prepare_order

wsgi_app = "conf.wiring:create_order_app()"
proc_name = "toystore order"
bind = bind_of(settings.order)
workers = settings.order.workers
_log = logging.getLogger(__name__)


def when_ready(server: Any) -> None:
    on_ready(server, settings.order, prepare_order)


def on_reload(server: Any) -> None:
    check_reload(server, settings.order)


def post_worker_init(worker: Any) -> None:  # type: ignore[no-redef]
    """Starts the recovery of this worker, after what all tiers do."""
    common.post_worker_init(worker)
    if isinstance(worker.wsgi, OrderTier):
        worker.wsgi.recovery.start()
    else:  # an app on gunicorn's command line, or that of --reload when ours fails to load
        _log.error("order: its app is not %s: this worker settles no buys in doubt", wsgi_app)
