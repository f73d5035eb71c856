"""Parses the addresses of tiers, and finds the addresses of a tier that listens on all interfaces."""

import ipaddress
import re
import socket
from contextlib import suppress
from dataclasses import dataclass

# Labels of letters, digits, - and _, with dots between them: 63 characters a label, 253 in all (RFC 1035). A number
# alone does not match: it is a port without a host.
_HOST = (
    r"(?![0-9]+(?:[:/]|$))(?=.{1,253}(?:[:/]|$))[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*"
)
_ADDRESS = re.compile(
    rf"(?:(?P<scheme>(?i:https?))://)?(?:\[(?P<ipv6>.+)\]|(?P<host>{_HOST}))(?::(?P<port>[0-9]{{1,5}}))?/?"
)
HTTPS_PORT = 443

# Addresses for documentation (RFC 5737, RFC 3849), which no machine has. The source address of a route to them is the
# one by which the network knows this machine.
_UNASSIGNED = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port to listen on or to connect to."""

    host: str
    port: int
    scheme: str = "http"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect to it."""
        if self.host.lower() == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback

    @property
    def url(self) -> str:
        """The URL as shoppers write it: without port 443 of https. For http each tier has its own default port."""
        return f"{self.scheme}://{self}".removesuffix(":443" if self.scheme == "https" else "")


def parse_address(text: str, default_port: int, *, https: bool) -> Address:
    """Parses host, host:port, [IPv6]:port or an http URL, and with `https` also an https URL.

    Raises ValueError, whose message quotes the text.
    """
    match = _ADDRESS.fullmatch(text)
    scheme = (match["scheme"] or "http").lower() if match else "http"
    if scheme == "https" and not https:
        raise ValueError(f"{text!r}: only the addresses of shop and desk, FRONT and BACK_OFFICE, may be https")
    port = int(match["port"] or (HTTPS_PORT if scheme == "https" else default_port)) if match else -1
    if match is None or not 1 <= port <= 65535 or (match["ipv6"] and not _is_ipv6(match["ipv6"])):
        urls = "http://host:port or https://host" if https else "http://host:port"
        raise ValueError(f"{text!r} is not a host, host:port or {urls}")
    return Address(match["ipv6"] or match["host"], port, scheme)


def is_host_name(text: str) -> bool:
    """Whether the text is a host name without a port."""
    return re.fullmatch(_HOST, text) is not None


def is_wildcard(host: str) -> bool:
    """Whether the host is a wildcard for all interfaces: 0.0.0.0, or ::, which accepts IPv4 as well."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def reachable_addresses(listening: Address) -> tuple[Address, ...]:
    """Returns the addresses at which others reach the listener; loopback when the machine has no other."""
    if not is_wildcard(listening.host):
        return (listening,)
    families = [listening.family] if listening.family == socket.AF_INET else [socket.AF_INET, socket.AF_INET6]
    hosts = [host for family in families if (host := own_host(family)) is not None]
    return tuple(Address(host, listening.port) for host in hosts or ["127.0.0.1"])


def own_host(family: socket.AddressFamily) -> str | None:
    """Returns the address of this machine on the network; None when it has none of this family.

    Nothing is sent: to connect a UDP socket only chooses a route.
    """
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((_UNASSIGNED[family], 9))
        host: str = probe.getsockname()[0]
        return host
    return None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
