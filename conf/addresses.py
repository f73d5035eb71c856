"""Where a tier can be reached that listens on every address of its machine."""

import ipaddress
import socket
from contextlib import suppress

from conf.settings import Address

# Addresses that nobody has (RFC 5737, RFC 3849). The system says by which of its own it would go there.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def is_every(host: str) -> bool:
    """Whether to listen there is to listen on every address: 0.0.0.0, or :: which takes IPv4 as well."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def reached_at(listening: Address) -> tuple[Address, ...]:
    """The addresses that others can use. Where the machine has none but its own loopback, that is one of them."""
    if not is_every(listening.host):
        return (listening,)
    families = [listening.family] if listening.family == socket.AF_INET else [socket.AF_INET, socket.AF_INET6]
    own = [host for family in families if (host := _own_host(family)) is not None]
    return tuple(Address(host, listening.port) for host in own or ["127.0.0.1"])


def _own_host(family: socket.AddressFamily) -> str | None:
    """This machine's address towards others. Nothing is sent for it."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((_ELSEWHERE[family], 9))
        host: str = probe.getsockname()[0]
        return host
    return None
