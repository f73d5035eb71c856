"""The parts of gunicorn that the server needs beyond gunicorn's documentation.

tests/unit/server/test_gunicorn_worker.py fails first when a newer gunicorn changes one of them.

gunicorn documents that a worker class may subclass `gunicorn.workers.base.Worker` and has to call `notify` and to
implement `run`, and it documents its settings and hooks. Not documented are the attributes declared here, and the way
in which the master makes, forks and ends a worker.
"""

import os
import socket
from collections.abc import Callable
from typing import Any

from gunicorn.workers.base import Worker


class GunicornWorker(Worker):
    """A worker process of gunicorn. The master makes it before the fork, and its `init_process` ends in `run`."""

    age: int  # a number of its own, by which the master knows it
    ppid: int  # the master
    alive: bool  # until a signal says to stop; whatever it has begun then is to be finished
    nr: int  # requests so far, which `run` counts
    max_requests: int
    sockets: list[socket.socket]  # gunicorn's wrappers of the listening ones, not blocking
    cfg: Any
    log: Any  # has `access` besides the methods of a logger
    wsgi: Callable[[dict[str, Any], Any], Any]  # the app, once `init_process` has loaded it
    PIPE: list[int]  # a byte comes out of its first end at each signal; neither end blocks

    def is_orphan(self) -> bool:
        """Whether the master has ended without a word to this worker."""
        return self.ppid != os.getppid()

    def count_request(self) -> None:
        """Count one more request, and stop behind it when gunicorn's max_requests says so."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def hook(self, name: str) -> Callable[..., object] | None:
        """The server hook of this name, if the settings have one of their own."""
        setting = self.cfg.settings[name]
        hook: Callable[..., object] = setting.get()
        return None if hook is setting.default else hook
