"""gunicorn's settings for the catalog tier: gunicorn -c conf/catalog.py"""

from typing import Any

from conf.common import *  # gunicorn takes the names of this module as its settings and hooks
from conf.common import bind_of, check_reload, on_ready, settings
from conf.wiring import prepare_catalog

wsgi_app = "conf.wiring:create_catalog_app()"
proc_name = "toystore catalog"
bind = bind_of(settings.catalog)
workers = settings.catalog.workers


def when_ready(server: Any) -> None:
    on_ready(server, settings.catalog, prepare_catalog)


def on_reload(server: Any) -> None:
    check_reload(server, settings.catalog)
