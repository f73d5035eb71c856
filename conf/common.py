"""gunicorn's settings for all three tiers. Each tier's file imports all of them and then names its tier."""

import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from conf.addresses import Address, reached_at
from conf.listeners import addresses_of, put_back, require_own_listeners
from conf.logs import log_to_stderr
from conf.output_thread import write_in_background
from conf.settings import Settings, SettingsError, Tier, load_or_exit, refuse_to_start
from db.connection import StartPostponed, StartRefused
from domain.errors import Unavailable

write_in_background()
log_to_stderr()
settings = load_or_exit()

# gthread with one thread for all connections, see docs/architecture.md.
worker_class = "server.worker.StoreWorker"
# Each worker builds its own app and opens its own connections: a SQLite connection must not cross a fork.
preload_app = False
# All gunicorns of one user would share one control socket.
control_socket_disable = True

# Of one worker. When there are more, the one that has been idle longest makes room.
worker_connections = 1000

# Longer than the pause between two requests of a shopper, or of the tier before.
keepalive = 75
# A stopping tier finishes what it has begun; supervisord and compose wait a little longer than this.
graceful_timeout = 10

# A name of 64 characters takes at most 768 bytes of a path.
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

# Nothing that a shopper sends may change what the path means, or the scheme; to look for it costs time, too.
forwarder_headers = ""
forwarded_allow_ips = ""

logger_class = "conf.logs.TierLogger"
errorlog = "-"
loglevel = "warning"


def on_starting(server: Any) -> None:
    """A tier that is started with SIGHUP ignored, as nohup does, must outlive its terminal. gunicorn would reload."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        server.SIGNALS = [number for number in server.SIGNALS if number != signal.SIGHUP]


def child_exit(_server: Any, worker: Any) -> None:
    worker.leave()


def bind_of(tier: Tier) -> str:
    """gunicorn's `bind`. A host that is not this machine ends the start at once; gunicorn would try it five times."""
    family = tier.bind.family
    try:
        with socket.socket(family) as probe:
            probe.bind((tier.bind.host, 0))
    except OSError as error:
        refuse_to_start(f"{tier.bind_variable}: cannot listen on {tier.bind.host}: {error.strerror}")
    return str(tier.bind)


def allow_files() -> None:
    """Let each worker open as many files as it may need, for its connections and its threads.

    The usual limit of 1,024 is little more than the connections. It may be raised as far as the hard one; where that
    is too low as well, or the system refuses, a worker has fewer connections (see StoreWorker.accept).
    """
    threads = max(tier.threads for tier in settings.tiers)
    needed = worker_connections + 4 * threads + 128  # a database is three files, a tier behind is a connection
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        with suppress(OSError, ValueError):  # a sandbox may refuse it
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


allow_files()


def take_over(server: Any, tier: Tier) -> None:
    """For gunicorn's when_ready and on_reload: hold its own options and sockets against our settings, before a worker.

    A tier that strangers could reach and that would obey them ends here, with one line and exit code 2.
    """
    try:
        require_own_listeners(server, settings, tier)
    except SettingsError as error:
        refuse_to_start(str(error))
    ours = {
        "worker_class": worker_class,
        "workers": tier.workers,
        "forwarder_headers": forwarder_headers,
        "forwarded_allow_ips": forwarded_allow_ips,
    }
    put_back(server, tier, ours)


def announce(server: Any, tier: Tier, prepare: Callable[[Settings], None]) -> None:
    """For gunicorn's when_ready: prepare the state, then print the address that the tier serves.

    when_ready and not on_starting, because only here is the port ours: a start that fails on a busy port must not
    have touched the state. What must not be served ends the start with one line and exit code 2, a
    trouble that may pass with exit code 1, behind which supervisord tries again.
    """
    take_over(server, tier)
    try:
        prepare(settings)
    except (StartPostponed, Unavailable) as error:
        refuse_to_start(f"{tier.name}: {error}", exit_code=1)
    except StartRefused as error:
        refuse_to_start(f"{tier.name}: {error}")
    places: list[str] = []
    for place in addresses_of(server):
        places += [address.url for address in reached_at(place)] if isinstance(place, Address) else [place]
    # In one piece, for three tiers may write to the same terminal at once: print would write the end of the line apart.
    sys.stdout.write(f"{tier.name} serves {', '.join(places)}\n")
    sys.stdout.flush()
