"""The addresses that a tier prints when it listens on all interfaces."""

import socket

import pytest

from conf import addresses
from conf.addresses import Address, is_every, reached_at


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> dict[socket.AddressFamily, str]:
    """The addresses of the machine by family, which a test may change."""
    own = {socket.AF_INET: "198.51.100.7", socket.AF_INET6: "2001:db8:1::7"}
    monkeypatch.setattr(addresses, "own_host", own.get)
    return own


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0::0"])
def test_a_host_for_all_interfaces_is_recognized(host: str) -> None:
    assert is_every(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "shop.example", "198.51.100.7", ""])
def test_any_other_host_is_a_single_address(host: str) -> None:
    assert not is_every(host)


def test_a_single_address_is_unchanged() -> None:
    assert reached_at(Address("127.0.0.1", 6060)) == (Address("127.0.0.1", 6060),)


def test_all_interfaces_stand_for_the_addresses_of_the_machine(own: dict[socket.AddressFamily, str]) -> None:
    assert reached_at(Address("0.0.0.0", 6060)) == (Address("198.51.100.7", 6060),)
    assert [address.url for address in reached_at(Address("::", 1))] == [
        "http://198.51.100.7:1",
        "http://[2001:db8:1::7]:1",
    ]


def test_a_machine_without_a_network_has_only_loopback(own: dict[socket.AddressFamily, str]) -> None:
    own.clear()
    assert reached_at(Address("0.0.0.0", 6060)) == (Address("127.0.0.1", 6060),)


def test_a_socket_can_listen_on_the_machines_own_address() -> None:
    [address] = reached_at(Address("0.0.0.0", 0))
    with socket.create_server((address.host, 0)) as server:
        assert server.getsockname()[0] == address.host != "0.0.0.0"
