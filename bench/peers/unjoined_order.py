"""gunicorn's settings for the unjoined order tier: the store's own, with another app."""

from conf.order import *  # noqa: F403

wsgi_app = "bench.peers.apart:create_order()"
