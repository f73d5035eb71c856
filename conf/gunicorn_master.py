"""All that the store asks of gunicorn's master beyond gunicorn's documentation.

tests/unit/conf/test_gunicorn_master.py holds each piece of it against the gunicorn that is installed.
"""

import logging
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from conf.settings import Tier

_log = logging.getLogger(__name__)


def sockets_of(server: Any) -> list[socket.socket]:
    """The sockets on which a gunicorn listens, its own and those that it has inherited."""
    return [listener.sock for listener in server.LISTENERS]


def is_successor(server: Any) -> bool:
    """Whether a master that still runs has started this one, by a SIGUSR2."""
    return bool(server.master_pid)


def leave_hangups_ignored(server: Any) -> None:
    """A tier that is started with SIGHUP ignored, as nohup does, must outlive its terminal. gunicorn would reload."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        server.SIGNALS = [number for number in server.SIGNALS if number != signal.SIGHUP]


def start_successors_alike(server: Any) -> None:
    """At a SIGUSR2, run the command that has started this process.

    gunicorn would run sys.argv, in which Python puts the path of the module's file in the place of `-m gunicorn`. Run
    so, gunicorn finds its own files where Python's `http` should be, and its new master ends at once.
    """
    server.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]


def reload_as_loaded(server: Any) -> None:
    """At a SIGHUP, take the settings file as this process has read it.

    gunicorn would read the file again, but not what the file imports: a newer file and older modules may not fit
    together, and gunicorn ends when they do not.
    """
    module = sys.modules.get("__config__")
    if module is not None:  # else the settings are a module (python:conf.catalog), which Python keeps as it is
        server.app.get_config_from_filename = lambda _filename: vars(module)


def put_back(server: Any, tier: Tier, ours: Mapping[str, Any]) -> None:
    """Take settings on which promises rest from `ours`, whatever gunicorn's own options say, and tell the log."""
    for name, value in ours.items():
        setting = server.cfg.settings[name]
        given = setting.get()
        setting.set(value)
        if setting.get() != given:
            _log.warning("%s: gunicorn's %s=%s is not taken; it stays %s", tier.name, name, given, value)
    server.num_workers = server.cfg.workers


def bases_of_worker(server: Any) -> set[str]:
    """The modules of the worker class and of all that it is derived from."""
    return {base.__module__ for base in server.worker_class.__mro__}
