"""A tier whose host has an address of a family that this machine lacks."""

import socket
import time
from contextlib import closing
from typing import Any

import pytest

from tests.support.scripted_tier import ScriptedTier, length, reply
from wsgi_apps.tier_connection import TierConnection


def test_an_address_of_a_family_that_the_machine_lacks_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without IPv6 (ipv6.disable=1), whose /etc/hosts still says ::1 localhost."""
    script = ScriptedTier(reply(length()))
    real, getaddrinfo = socket.socket, socket.getaddrinfo

    def make(family: int = -1, *arguments: Any, **options: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *arguments, **options)

    def both(host: str, port: int, **options: Any) -> Any:
        v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [v6, *getaddrinfo("127.0.0.1", port, **options)]

    with closing(script), monkeypatch.context() as patch:
        patch.setattr("wsgi_apps.tier_connection.socket.socket", make)
        patch.setattr("wsgi_apps.tier_connection.socket.getaddrinfo", both)
        connection = TierConnection("localhost", script.port)
        try:
            got = connection.exchange(b"GET / HTTP/1.1\r\n\r\n", time.monotonic() + 10)
        finally:
            connection.close()
    assert got.status == 200
