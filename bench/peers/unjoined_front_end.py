"""gunicorn's settings for the unjoined front end: the store's own, with another app."""

from conf.front_end import *  # noqa: F403

wsgi_app = "bench.peers.apart:create_front_end()"
