"""Addresses: how they are written, and where a tier is reached that listens on every one of its machine."""

import ipaddress
import re
import socket
from contextlib import suppress
from dataclasses import dataclass

# Labels of letters, digits, - and _, with dots between them; a number alone is a port that lost its host.
_HOST = (
    r"(?![0-9]+(?:[:/]|$))(?=.{1,253}(?:[:/]|$))[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*"
)
_ADDRESS = re.compile(
    rf"(?:(?P<scheme>(?i:https?))://)?(?:\[(?P<ipv6>.+)\]|(?P<host>{_HOST}))(?::(?P<port>[0-9]{{1,5}}))?/?"
)
HTTPS_PORT = 443

# Addresses that nobody has (RFC 5737, RFC 3849). The system says by which of its own it would go there.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


@dataclass(frozen=True, slots=True)
class Address:
    """A place to listen on or to reach."""

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
        """Whether what listens there is reached by this machine alone."""
        if self.host.lower() == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback

    @property
    def url(self) -> str:
        """The address as shoppers write it. http has no port of its own here: each tier has another default."""
        return f"{self.scheme}://{self}".removesuffix(":443" if self.scheme == "https" else "")


def parse_address(text: str, default_port: int, *, https: bool) -> Address:
    """host, host:port, [IPv6]:port or a URL, of https where that may be. Raises ValueError, which shows the text."""
    match = _ADDRESS.fullmatch(text)
    scheme = (match["scheme"] or "http").lower() if match else "http"
    if scheme == "https" and not https:
        raise ValueError(f"{text!r}: only the shop's address, FRONT, may be https; tiers speak http")
    port = int(match["port"] or (HTTPS_PORT if scheme == "https" else default_port)) if match else -1
    if match is None or not 1 <= port <= 65535 or (match["ipv6"] and not _is_ipv6(match["ipv6"])):
        urls = "http://host:port or https://host" if https else "http://host:port"
        raise ValueError(f"{text!r} is not a host, host:port or {urls}")
    return Address(match["ipv6"] or match["host"], port, scheme)


def is_host_name(text: str) -> bool:
    """Whether this is the name of a host, without a port."""
    return re.fullmatch(_HOST, text) is not None


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


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
