"""The parts of gunicorn's master that the store uses and that gunicorn does not document.

tests/unit/conf/test_gunicorn_master.py checks each of them against the installed gunicorn.
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
    """Returns the sockets on which a gunicorn listens: its own and those that it has inherited."""
    return [listener.sock for listener in server.LISTENERS]


def is_successor(server: Any) -> bool:
    """Whether another master, which may still run, has started this one on SIGUSR2."""
    return bool(server.master_pid)


def keep_sighup_ignored(server: Any) -> None:
    """Keeps SIGHUP ignored if it was ignored at the start: under nohup a tier must outlive its terminal, not reload."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        server.SIGNALS = [number for number in server.SIGNALS if number != signal.SIGHUP]


def start_successors_by_same_command(server: Any) -> None:
    """Makes SIGUSR2 run the command that has started this process.

    gunicorn would run sys.argv, in which Python replaces `-m gunicorn` by the path of the module's file. The new master
    would import gunicorn's own `http` in the place of Python's, and end at once.
    """
    server.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]


def reload_without_reading(server: Any) -> None:
    """Makes SIGHUP use the settings file as this process has read it at its start.

    gunicorn would read the file again, but not the modules that it imports. A newer file may not fit the older modules,
    and gunicorn would end.
    """
    module = sys.modules.get("__config__")
    if module is not None:  # otherwise the settings are a module (python:conf.catalog), which Python does not reload
        server.app.get_config_from_filename = lambda _filename: vars(module)


def override_settings(server: Any, tier: Tier, ours: Mapping[str, Any]) -> None:
    """Sets the options in `ours`, which the promises need, and logs each value of the owner's that it replaces."""
    for name, value in ours.items():
        setting = server.cfg.settings[name]
        owners = setting.get()
        setting.set(value)
        if setting.get() != owners:
            _log.warning("%s: gunicorn's %s=%s is not taken; it stays %r", tier.name, name, owners, value)
    server.num_workers = server.cfg.workers  # a copy of the number, which the master has made before


def bases_of_worker(server: Any) -> set[str]:
    """Returns the modules of the worker class and of its base classes."""
    return {base.__module__ for base in server.worker_class.__mro__}
