"""Checks the sockets and the worker class of a tier, after gunicorn's bind and before the first worker.

gunicorn's own options (-b, GUNICORN_CMD_ARGS) and sockets inherited from systemd or a former master override our
setting of the address. Therefore the checks look at the sockets themselves.
"""

import logging
import socket
from typing import Any

from conf.addresses import Address
from conf.gunicorn_master import bases_of_worker, sockets_of
from conf.settings import Settings, Tier, require_private_or_secret_at
from conf.variables import SettingsError

# The modules of gunicorn's worker classes that have one event loop for all requests.
EVENT_LOOP_MODULES = {"gunicorn.workers.base_async", "gunicorn.workers.gtornado"}

_log = logging.getLogger(__name__)


def addresses_of(server: Any) -> list[Address | str]:
    """Returns an Address for each TCP socket on which a gunicorn listens, and `unix:` with the path for any other."""
    return [_address_of(sock) for sock in sockets_of(server)]


def require_safe_listeners(server: Any, settings: Settings, tier: Tier) -> None:
    """Raises SettingsError when a socket is shared, speaks TLS, or lets strangers reach a tier that would obey them.

    A Unix socket is as private as loopback: both are for the users of this machine.
    """
    if server.cfg.reuse_port:
        raise SettingsError(f"{tier.name}: gunicorn's reuse_port is refused: another program could have the port, too")
    if server.cfg.is_ssl:
        raise SettingsError(f"{tier.name}: gunicorn's certfile is refused: a tier speaks no TLS, a proxy in front does")
    if tier.name == "front_end":
        return
    for address in addresses_of(server):
        if isinstance(address, Address) and tier.name == "back_office":
            _require_intended(tier, address)
        elif isinstance(address, Address):
            require_private_or_secret_at(settings, tier, address)


def _require_intended(tier: Tier, address: Address) -> None:
    """Raises SettingsError when other machines could reach the back office, and its setting does not say so."""
    if tier.is_on_loopback and not address.is_loopback:
        raise SettingsError(
            f"{tier.name}: gunicorn's bind: at {address} other machines reach the owner's desk; "
            f"set {tier.bind_variable} to it if they should"
        )


def require_supported_worker(server: Any, tier: Tier) -> None:
    """Raises SettingsError for a worker class that cannot serve this tier; warns of one that is not the store's own.

    No promise rests on the worker: SQLite's locks isolate two workers, or two threads.
    """
    name, bases = server.cfg.worker_class_str, bases_of_worker(server)
    if tier.name == "back_office":
        if name != "gthread":
            raise SettingsError(f"{tier.name}: gunicorn's worker_class={name} is refused: it needs gthread, to stream")
        return
    if "server.worker" in bases:
        return
    if "gunicorn.workers.gasgi" in bases:
        raise SettingsError(f"{tier.name}: gunicorn's worker_class={name} is refused: a tier is WSGI, and not ASGI")
    if tier.name != "front_end" and bases & EVENT_LOOP_MODULES:
        raise SettingsError(
            f"{tier.name}: gunicorn's worker_class={name} is refused: SQLite would stop its loop; "
            "sync, gthread and the store's own have none that waits for it"
        )
    _log.warning("%s: its worker is gunicorn's %s and not the store's own: it is slower", tier.name, name)


def _address_of(sock: socket.socket) -> Address | str:
    name = sock.getsockname()
    if isinstance(name, tuple):
        return Address(*name[:2])
    path = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return f"unix:{path}"
