"""gunicorn's settings for the front end under gunicorn's own gevent worker."""

from typing import Any

from conf.front_end import *

worker_class = "gevent"


def when_ready(_server: Any) -> None:  # type: ignore[no-redef]
    """The front end's own puts its worker class back."""


def child_exit(_server: Any, _worker: Any) -> None:  # type: ignore[no-redef]
    """The front end's own is for its worker class."""
