"""Judges what gunicorn really does for a tier, after the bind and before the first worker.

A variable of ours says where a tier listens, but gunicorn's own options (-b, GUNICORN_CMD_ARGS) and sockets that were
inherited from systemd or a former master come after it, so only the sockets themselves are believed.
"""

import logging
import socket
from collections.abc import Mapping
from typing import Any

from conf.addresses import Address
from conf.settings import Settings, SettingsError, Tier, require_closed_at

_log = logging.getLogger(__name__)


def addresses_of(server: Any) -> list[Address | str]:
    """The places where a gunicorn listens: an Address for each TCP socket, `unix:` and the path for any other."""
    return [_address_of(listener.sock) for listener in server.LISTENERS]


def require_own_listeners(server: Any, settings: Settings, tier: Tier) -> None:
    """Raises SettingsError when strangers reach a tier that would obey them, or a promise would not hold for it.

    A Unix socket is no more open than loopback: both are for the users of this machine.
    """
    if server.cfg.reuse_port:
        raise SettingsError(f"{tier.name}: gunicorn's reuse_port is refused: another program could have the port, too")
    if server.cfg.is_ssl:
        raise SettingsError(f"{tier.name}: gunicorn's certfile is refused: a tier speaks no TLS, a proxy in front does")
    if tier.name == "front_end":
        return
    for address in addresses_of(server):
        if isinstance(address, Address):
            require_closed_at(settings, tier, address)


def put_back(server: Any, tier: Tier, ours: Mapping[str, Any]) -> None:
    """Take settings on which promises rest from `ours`, whatever gunicorn's own options say, and tell the log."""
    for name, value in ours.items():
        setting = server.cfg.settings[name]
        given = setting.get()
        setting.set(value)
        if setting.get() != given:
            _log.warning("%s: gunicorn's %s=%s is not taken; it stays %s", tier.name, name, given, value)
    server.worker_class, server.num_workers = server.cfg.worker_class, server.cfg.workers


def _address_of(sock: socket.socket) -> Address | str:
    name = sock.getsockname()
    if isinstance(name, tuple):
        return Address(*name[:2])
    path = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return f"unix:{path}"
