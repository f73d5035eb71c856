"""The addresses at which others reach a tier that listens on all interfaces."""

import socket

import pytest

from conf import addresses
from conf.addresses import Address, is_wildcard, reachable_addresses


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> dict[socket.AddressFamily, str]:
    """Replaces the machine's addresses by these, by family. A test may change them."""
    own = {socket.AF_INET: "198.51.100.7", socket.AF_INET6: "2001:db8:1::7"}
    monkeypatch.setattr(addresses, "own_host", own.get)
    return own


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0::0"])
def test_an_unspecified_address_is_a_wildcard(host: str) -> None:
    assert is_wildcard(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "shop.example", "198.51.100.7", ""])
def test_any_other_host_is_no_wildcard(host: str) -> None:
    assert not is_wildcard(host)


def test_a_single_address_is_reached_as_it_is() -> None:
    assert reachable_addresses(Address("127.0.0.1", 6060)) == (Address("127.0.0.1", 6060),)


def test_a_wildcard_is_reached_at_the_addresses_of_the_machine(own: dict[socket.AddressFamily, str]) -> None:
    assert reachable_addresses(Address("0.0.0.0", 6060)) == (Address("198.51.100.7", 6060),)
    assert [address.url for address in reachable_addresses(Address("::", 1))] == [
        "http://198.51.100.7:1",
        "http://[2001:db8:1::7]:1",
    ]


def test_without_a_network_a_wildcard_is_reached_at_loopback(own: dict[socket.AddressFamily, str]) -> None:
    own.clear()
    assert reachable_addresses(Address("0.0.0.0", 6060)) == (Address("127.0.0.1", 6060),)


def test_a_socket_can_listen_on_the_machines_own_address() -> None:
    [address] = reachable_addresses(Address("0.0.0.0", 0))
    with socket.create_server((address.host, 0)) as server:
        assert server.getsockname()[0] == address.host
    assert address.host != "0.0.0.0"
