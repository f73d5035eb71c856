"""The addresses of a tier: which one a try gets, which are left out, and what a name's IP addresses are."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.waiting import wait_until
from wsgi_apps import tier_addresses
from wsgi_apps.tier_addresses import FIRST_LEFT_OUT_S, MAX_LEFT_OUT_S, TierAddress, TierAddresses

A, B, C = ("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 1)


def addresses_of(*places: tuple[str, int], probe: Callable[[TierAddress], bool] = lambda _: False) -> TierAddresses:
    return TierAddresses("catalog", places, max_body_bytes=1, probe=probe)


def texts(addresses: Sequence[TierAddress]) -> list[str]:
    return [address.text for address in addresses]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("wsgi_apps.tier_addresses.time.monotonic", clock)
    monkeypatch.setattr("wsgi_apps.tier_addresses.random.uniform", lambda _low, _high: 1.0)
    return clock


def test_tries_go_to_the_addresses_in_turns() -> None:
    addresses = addresses_of(A, B, C)
    chosen = [addresses.choose().text for _ in range(30)]
    assert all(chosen.count(text) == 10 for text in texts(addresses.all))


def test_a_try_goes_where_the_fewest_calls_are_under_way() -> None:
    """A tier that is slow, or frozen, gets few further calls even before it counts as dead."""
    addresses = addresses_of(A, B)
    slow, other = addresses.all
    slow.busy.append(None)
    assert [addresses.choose() for _ in range(4)] == [other] * 4


def test_an_address_that_is_left_out_gets_calls_only_when_all_are_left_out() -> None:
    addresses = addresses_of(A, B)
    first, second = addresses.all
    assert addresses.has_other([first])
    second.leave_out()
    assert [addresses.choose() for _ in range(4)] == [first] * 4 and not addresses.has_other([first])
    first.leave_out()
    assert {addresses.choose() for _ in range(4)} == {first, second}


def test_an_address_is_left_out_longer_after_each_failure(clock: Clock) -> None:
    [address] = addresses_of(A).all
    left_out_s = []
    for _ in range(8):
        address.leave_out()
        assert address.probe_at is not None
        left_out_s.append(address.probe_at - clock.now)
    assert left_out_s[:3] == [FIRST_LEFT_OUT_S, 2 * FIRST_LEFT_OUT_S, 4 * FIRST_LEFT_OUT_S]
    assert left_out_s[-1] == MAX_LEFT_OUT_S


def test_an_address_is_left_out_for_its_retry_after_at_least(clock: Clock) -> None:
    [address] = addresses_of(A).all
    address.leave_out(at_least_s=7)
    assert address.probe_at == clock.now + 7


def test_an_address_is_probed_once_after_its_time_and_gets_no_call_before_the_probe_succeeds(clock: Clock) -> None:
    go_on, probed = threading.Event(), list[TierAddress]()

    def probe(address: TierAddress) -> bool:
        probed.append(address)
        go_on.wait(60)
        return len(probed) > 1

    addresses = addresses_of(A, B, probe=probe)
    dead, alive = addresses.all
    dead.leave_out()
    assert [addresses.choose() for _ in range(4)] == [alive] * 4 and not probed, "its time has not come"
    clock.now += FIRST_LEFT_OUT_S
    assert [addresses.choose() for _ in range(4)] == [alive] * 4, "a shopper's call was the probe"
    go_on.set()
    addresses.close()
    assert probed == [dead] and dead.is_left_out, "the probe has failed"
    clock.now += 2 * FIRST_LEFT_OUT_S
    addresses.choose()
    addresses.close()
    assert probed == [dead] * 2 and not dead.is_left_out
    assert {addresses.choose() for _ in range(4)} == {dead, alive}


def test_an_address_whose_probes_succeed_and_whose_calls_fail_is_left_out_longer_and_longer(clock: Clock) -> None:
    addresses = addresses_of(A, B, probe=lambda _: True)
    dead = addresses.all[0]
    dead.leave_out()
    clock.now += FIRST_LEFT_OUT_S
    addresses.choose()
    addresses.close()
    dead.leave_out()
    assert dead.probe_at == clock.now + 2 * FIRST_LEFT_OUT_S


class Resolver:
    """Answers each lookup with these IP addresses, and records its thread."""

    def __init__(self, *ips: str) -> None:
        self.ips: Sequence[str] | OSError = ips
        self.threads: list[threading.Thread] = []

    def __call__(self, _host: str, port: int, **_options: Any) -> list[Any]:
        self.threads.append(threading.current_thread())
        if isinstance(self.ips, OSError):
            raise self.ips
        families = [socket.AF_INET6 if ":" in ip else socket.AF_INET for ip in self.ips]
        return [(family, 1, 6, "", (ip, port)) for family, ip in zip(families, self.ips, strict=True)]


@pytest.fixture
def look_up(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Callable[..., TierAddresses]]:
    """Returns the addresses of the name `catalog` after a lookup by this resolver."""

    def start(resolver: Resolver) -> TierAddresses:
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        addresses = addresses_of(("catalog", 7))
        look_up_again(addresses, clock)
        return addresses

    yield start


def look_up_again(addresses: TierAddresses, clock: Clock) -> None:
    clock.now += tier_addresses.LOOKUP_INTERVAL_S
    addresses.choose()
    addresses.close()


def test_a_name_with_several_ip_addresses_counts_as_several(look_up: Callable[..., TierAddresses]) -> None:
    resolver = Resolver("10.0.0.1", "10.0.0.2")
    addresses = look_up(resolver)
    assert texts(addresses.all) == ["catalog:7 (10.0.0.1)", "catalog:7 (10.0.0.2)"]
    assert {address.host_line for address in addresses.all} == {"Host: catalog:7"}, "the tier knows its name"
    assert threading.current_thread() not in resolver.threads, "a call would wait for the DNS"


@pytest.mark.parametrize("ips", [["10.0.0.1"], ["::1", "127.0.0.1"]])
def test_a_name_with_one_ip_address_of_a_family_is_one_address(
    look_up: Callable[..., TierAddresses], ips: list[str]
) -> None:
    """Those of two families are two ways to one tier, which may listen on one of them alone."""
    addresses = look_up(Resolver(*ips))
    assert texts(addresses.all) == ["catalog:7"]
    assert addresses.all[0].ip is None


def test_a_name_is_looked_up_again_and_what_is_known_of_an_address_stays(
    look_up: Callable[..., TierAddresses], clock: Clock
) -> None:
    resolver = Resolver("10.0.0.1", "10.0.0.2")
    addresses = look_up(resolver)
    gone, stays = addresses.all
    stays.leave_out()
    addresses.choose()
    assert len(resolver.threads) == 1, "it was looked up again at once"
    resolver.ips = "10.0.0.2", "10.0.0.3"
    look_up_again(addresses, clock)
    assert texts(addresses.all) == ["catalog:7 (10.0.0.2)", "catalog:7 (10.0.0.3)"]
    assert addresses.all[0] is stays and stays.is_left_out
    connection, _ = gone.connection()
    gone.keep(connection)
    assert gone.connection() != (connection, True), "a connection to a former address is kept"


def test_a_lookup_that_fails_leaves_the_addresses_as_they_are(
    look_up: Callable[..., TierAddresses], clock: Clock
) -> None:
    resolver = Resolver("10.0.0.1", "10.0.0.2")
    addresses = look_up(resolver)
    before = list(addresses.all)
    resolver.ips = socket.gaierror(-3, "Temporary failure in name resolution")
    look_up_again(addresses, clock)
    assert addresses.all == before and len(resolver.threads) == 2


def test_an_ip_address_and_localhost_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    addresses = addresses_of(("127.0.0.1", 1), ("::1", 1), ("localhost", 1))
    for _ in range(4):
        addresses.choose()
    addresses.close()
    assert resolver.threads == []
    assert texts(addresses.all) == ["127.0.0.1:1", "[::1]:1", "localhost:1"]


def test_a_name_is_called_as_it_is_until_its_lookup_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def slow(_host: str, port: int, **_options: Any) -> list[Any]:
        go_on.wait(60)
        return [(socket.AF_INET, 1, 6, "", (f"10.0.0.{number}", port)) for number in (1, 2)]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    addresses = addresses_of(("catalog", 7))
    assert addresses.choose().text == "catalog:7"
    go_on.set()
    wait_until("the lookup ends", lambda: len(addresses.all) == 2)
    addresses.close()
