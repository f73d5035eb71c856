"""The parts of gunicorn that the server uses beyond gunicorn's documentation.

gunicorn documents that a worker class may subclass `gunicorn.workers.base.Worker`, calls `notify` and implements `run`.
It documents its settings and hooks, too. It does not document the attributes declared here, nor how the master process
makes, forks and ends a worker.

tests/unit/server/test_gunicorn_worker.py fails first when a newer gunicorn changes one of these parts.
"""

import os
import socket
from collections.abc import Callable
from typing import Any

from gunicorn.workers.base import Worker


class GunicornWorker(Worker):
    """A worker process of gunicorn. The master makes it before the fork, and its `init_process` ends in `run`."""

    age: int  # the number by which the master knows this worker
    ppid: int  # the process id of the master
    alive: bool  # False after a signal to stop; requests under way are still answered
    nr: int  # requests so far, counted by `count_request`
    max_requests: int
    sockets: list[socket.socket]  # gunicorn's wrappers of the listeners, not blocking
    cfg: Any
    log: Any  # a logger with one more method, `access`
    wsgi: Callable[[dict[str, Any], Any], Any]  # the app, loaded by `init_process`
    PIPE: list[int]  # each signal writes a byte to the second end; neither end blocks

    def is_orphan(self) -> bool:
        """Whether the master has ended without stopping this worker."""
        return self.ppid != os.getppid()

    def count_request(self) -> None:
        """Counts a request. Stops the worker after the last one that gunicorn's max_requests allows."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def hook(self, name: str) -> Callable[..., object] | None:
        """Returns the server hook of this name; None for gunicorn's own default, which does nothing."""
        setting = self.cfg.settings[name]
        hook: Callable[..., object] = setting.get()
        return None if hook is setting.default else hook
