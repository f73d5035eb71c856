"""gunicorn's settings and hooks for all tiers. The file of each tier imports them and adds its own."""

import importlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from conf.addresses import Address, reachable_addresses
from conf.gunicorn_master import (
    is_successor,
    keep_sighup_ignored,
    override_settings,
    reload_without_reading,
    start_successors_by_same_command,
)
from conf.listeners import addresses_of, require_safe_listeners, require_supported_worker
from conf.loaded import FileState, changed_files, loaded_files
from conf.logs import log_to_stderr
from conf.output_thread import write_in_background
from conf.settings import REQUEST_THREADS, Settings, Tier, load, load_or_exit, refuse_to_start
from conf.upgrade import is_supervised, require_same_schema
from conf.variables import SettingsError
from conf.worker_settings import keep_for_workers
from db.start import StartPostponed, StartRefused
from domain.errors import Unavailable
from server.request import MAX_FIELD_BYTES, MAX_FIELDS, MAX_REQUEST_LINE_BYTES
from server.scoreboard import scoreboard_of_this_tier

write_in_background()
log_to_stderr()
settings = load_or_exit()
keep_for_workers(settings)
sighup_is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
loaded: dict[Path, FileState | None] = {}  # the files that this master loads before its first worker
_log = logging.getLogger(__name__)

# By default a worker serves all connections in one thread, see docs/architecture.md.
worker_class = settings.worker_class
if worker_class == "gthread":
    threads = REQUEST_THREADS
# Each worker builds its own app and opens its own connections: a SQLite connection must not cross a fork.
preload_app = False
# Otherwise all gunicorns of one user would share one control socket.
control_socket_disable = True

# Per worker. When they are all in use, the worker closes the connection that has been idle longest.
worker_connections = 1000

# In seconds: longer than the pause between two requests of a shopper, or of the tier in front.
keepalive = 75
# In seconds: a tier that stops finishes its requests. supervisord and compose wait a little longer than this.
graceful_timeout = 10

# For gunicorn's own workers. The store's own worker has the same limits.
limit_request_line = MAX_REQUEST_LINE_BYTES
limit_request_fields = MAX_FIELDS
limit_request_field_size = MAX_FIELD_BYTES

# Without these two settings, headers of a shopper could change the path or the scheme, and gunicorn would look for them
# in each request.
forwarder_headers = ""
forwarded_allow_ips = ""

logger_class = "conf.logs.TierLogger"
errorlog = "-"
loglevel = "warning"


def on_starting(server: Any) -> None:
    """Adapts the master to nohup, SIGUSR2 and SIGHUP, before it has a socket."""
    keep_sighup_ignored(server)
    start_successors_by_same_command(server)
    reload_without_reading(server)


def pre_exec(_server: Any) -> None:
    """Ends the successor that SIGUSR2 has started when a supervisor watches this tier."""
    if is_supervised(os.getppid()):
        _log.warning("SIGUSR2 is of no use here, for a supervisor watches this tier: restart it instead")
        sys.exit(0)


def post_worker_init(_worker: Any) -> None:
    """Ignores SIGHUP in the worker when the master ignores it: gunicorn's worker class resets its signals."""
    if sighup_is_ignored:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def child_exit(_server: Any, worker: Any) -> None:
    """Removes a worker that has ended from the scoreboard. Only the store's own workers are on it."""
    scoreboard_of_this_tier().clear(worker.age)


def bind_of(tier: Tier) -> str:
    """Returns gunicorn's `bind`. Ends the start when the host is not this machine: gunicorn would try five times."""
    family = tier.bind.family
    try:
        with socket.socket(family) as probe:
            probe.bind((tier.bind.host, 0))
    except OSError as error:
        refuse_to_start(f"{tier.bind_variable}: cannot listen on {tier.bind.host}: {error.strerror}")
    return str(tier.bind)


def raise_fd_limit() -> None:
    """Raises the limit of open files to what a worker needs for its connections and its threads.

    The usual soft limit of 1,024 is little more than the connections. Where the hard limit is too low as well, or the
    system refuses, a worker has fewer connections (see StoreWorker._on_shortage).
    """
    waiting_threads = max(tier.threads for tier in settings.tiers)
    # Each thread needs four descriptors at most: three for the files of a database, one for a call to a tier.
    needed = worker_connections + 4 * (waiting_threads + REQUEST_THREADS) + 128
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        with suppress(OSError, ValueError):  # a sandbox may refuse it
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


raise_fd_limit()


def enforce_options(server: Any, tier: Tier) -> None:
    """Checks gunicorn's own options and sockets, and replaces those options that the store's settings decide.

    Ends the tier with one line and exit code 2 when strangers could reach it and it would obey them, or when its worker
    class cannot serve it.
    """
    try:
        require_safe_listeners(server, settings, tier)
        require_supported_worker(server, tier)
    except SettingsError as error:
        refuse_to_start(str(error))
    ours = {
        "workers": tier.workers,
        "forwarder_headers": forwarder_headers,
        "forwarded_allow_ips": forwarded_allow_ips,
    }
    override_settings(server, tier, ours)


def check_reload(server: Any, tier: Tier) -> None:
    """Runs at gunicorn's on_reload: checks the options again, and warns when the code on the disk has changed."""
    enforce_options(server, tier)
    with suppress(SettingsError):  # each worker then warns, and uses the secret that was kept
        keep_for_workers(load())
    if changed := changed_files(loaded):
        ways = "a restart" if is_supervised(os.getpid()) else f"a restart, or SIGUSR2 to process {os.getpid()},"
        _log.warning(
            "%s: files have changed since its start (%d, such as %s): a reload serves the old code, %s the new",
            tier.name,
            len(changed),
            changed[0],
            ways,
        )


def on_ready(server: Any, tier: Tier, prepare: Callable[[Settings], None]) -> None:
    """Runs at gunicorn's when_ready: prepares the state, then prints the address that the tier serves.

    Before, at on_starting, the port is not ours yet, and a start that fails on a busy port must not touch the state. A
    state that must not be served ends the start with one line and exit code 2. An error that may pass ends it with exit
    code 1, and supervisord then tries again.
    """
    enforce_options(server, tier)
    importlib.import_module(server.cfg.wsgi_app.partition(":")[0])  # the code that its workers need, see conf/loaded.py
    loaded.update(loaded_files())
    try:
        if is_successor(server):
            require_same_schema(settings, tier)
        prepare(settings)
    except (StartPostponed, Unavailable) as error:
        refuse_to_start(f"{tier.name}: {error}", exit_code=1)
    except StartRefused as error:
        refuse_to_start(f"{tier.name}: {error}")
    urls: list[str] = []
    for place in addresses_of(server):
        urls += [address.url for address in reachable_addresses(place)] if isinstance(place, Address) else [place]
    # In one write, for several tiers may share a terminal: print would write the end of the line by itself.
    sys.stdout.write(f"{tier.name} serves {', '.join(urls)}\n")
    sys.stdout.flush()
