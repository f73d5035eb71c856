"""gunicorn's settings for the catalog tier: gunicorn -c conf/catalog.py"""

from typing import Any

from conf.common import *
from conf.common import announce, settings
from wsgi_apps.catalog import prepare

wsgi_app = "wsgi_apps.catalog:create_app()"
proc_name = "toystore catalog"
bind = str(settings.catalog.bind)
workers = settings.catalog.workers
threads = settings.catalog.threads


def when_ready(server: Any) -> None:
    announce(server, settings.catalog, prepare)
