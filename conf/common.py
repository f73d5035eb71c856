"""What the three gunicorn files share. Each imports all of it and then names its tier."""

import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from conf.settings import TIERS, Address, Settings, Tier, load_or_exit, refuse_to_start
from db.connection import StartPostponed, StartRefused
from domain.errors import Unavailable

settings = load_or_exit()

logging.basicConfig(level="INFO", format="[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s")

# gthread with one thread for all connections, see docs/architecture.md.
worker_class = "server.worker.StoreWorker"
# Each worker builds its own app and opens its own connections: a SQLite connection must not cross a fork.
preload_app = False
# All gunicorns of one user would share one control socket.
control_socket_disable = True

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

errorlog = "-"
loglevel = "warning"


def child_exit(_server: Any, worker: Any) -> None:
    worker.leave()


def bind_of(tier: Tier) -> str:
    """gunicorn's `bind`. A host that is not this machine ends the start at once; gunicorn would try it five times."""
    family = socket.AF_INET6 if ":" in tier.bind.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((tier.bind.host, 0))
    except OSError as error:
        refuse_to_start(f"{TIERS[tier.name].prefix}_BIND: cannot listen on {tier.bind.host}: {error.strerror}")
    return str(tier.bind)


def announce(server: Any, tier: Tier, prepare: Callable[[Settings], None]) -> None:
    """For gunicorn's when_ready: prepare the state, then print the address that the tier serves.

    when_ready and not on_starting, because only here is the port ours: a start that fails on a busy port must not
    have touched the state. What must not be served ends the start with one line and exit code 2, a
    trouble that may pass with exit code 1, behind which supervisord tries again.
    """
    try:
        prepare(settings)
    except (StartPostponed, Unavailable) as error:
        refuse_to_start(f"{tier.name}: {error}", exit_code=1)
    except StartRefused as error:
        refuse_to_start(f"{tier.name}: {error}")
    host, port = server.LISTENERS[0].sock.getsockname()[:2]
    # In one piece, for three tiers may write to the same terminal at once: print would write the end of the line apart.
    sys.stdout.write(f"{tier.name} serves {Address(host, port).url}\n")
    sys.stdout.flush()


def pin(worker: Any) -> None:
    """For gunicorn's post_fork: keep this worker on one of the cores that it may use, its neighbour on the next.

    Threads that share an interpreter lock only get in each other's way on two cores.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[worker.age % len(cores)]})
