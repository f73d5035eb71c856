"""Connects to a host that has an IPv6 address, from a machine without IPv6."""

import socket
import time
from contextlib import closing
from typing import Any

import pytest

from tests.support.scripted_tier import ScriptedTier, length, reply
from wsgi_apps.tier_connection import TierConnection


def test_an_address_of_an_unsupported_family_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a kernel without IPv6 (ipv6.disable=1), where /etc/hosts still has `::1 localhost`."""
    ipv4_tier = ScriptedTier(reply(length()))
    real_socket, getaddrinfo = socket.socket, socket.getaddrinfo

    def socket_without_ipv6(family: int = -1, *arguments: Any, **options: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real_socket(family, *arguments, **options)

    def both_families(host: str, port: int, **options: Any) -> Any:
        v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [v6, *getaddrinfo("127.0.0.1", port, **options)]

    with closing(ipv4_tier), monkeypatch.context() as patch:
        patch.setattr("wsgi_apps.tier_connection.socket.socket", socket_without_ipv6)
        patch.setattr("wsgi_apps.tier_connection.socket.getaddrinfo", both_families)
        connection = TierConnection("localhost", ipv4_tier.port)
        try:
            answer = connection.exchange(b"GET / HTTP/1.1\r\n\r\n", time.monotonic() + 10)
        finally:
            connection.close()
    assert answer.status == 200
