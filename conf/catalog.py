"""gunicorn's settings for the catalog tier: gunicorn -c conf/catalog.py"""

import sys
from typing import Any

try:
    from conf.common import *
    from conf.common import announce, closed_bind_of, settings
    from wsgi_apps.catalog import prepare
except ModuleNotFoundError as error:
    if error.name != "conf":
        raise
    sys.exit("toy store: run gunicorn in the root of the repository, where the folder conf is")

wsgi_app = "wsgi_apps.catalog:create_app()"
proc_name = "toystore catalog"
bind = closed_bind_of(settings.catalog)
workers = settings.catalog.workers
threads = settings.catalog.threads


def when_ready(server: Any) -> None:
    announce(server, settings.catalog, prepare)
