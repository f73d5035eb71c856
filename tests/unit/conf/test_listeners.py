"""The checks of a tier's sockets: they look at the sockets, and not at a setting or an option."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conf.addresses import Address
from conf.listeners import addresses_of, require_safe_listeners
from conf.settings import SettingsError, load

SECRET = "secret--" * 4


class Master:
    """The part of gunicorn's master that the checks read."""

    def __init__(self) -> None:
        self.cfg = SimpleNamespace(reuse_port=False, is_ssl=False)
        self.LISTENERS: list[Any] = []
        self.opened = ExitStack()

    def listen(self, family: socket.AddressFamily, address: Any) -> "Master":
        sock = self.opened.enter_context(socket.socket(family))
        sock.bind(address)
        self.LISTENERS.append(SimpleNamespace(sock=sock))
        return self

    def listen_on(self, host: str) -> "Master":
        return self.listen(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, 0))


@pytest.fixture
def master() -> Iterator[Master]:
    master = Master()
    with master.opened:
        yield master


LOOPBACK = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]
BEYOND = ["0.0.0.0", "::", "::ffff:0.0.0.0"]


@pytest.mark.parametrize("tier", ["catalog", "order"])
def test_a_tier_behind_that_listens_only_on_loopback_needs_no_secret(master: Master, tier: str) -> None:
    for host in LOOPBACK:
        master.listen_on(host)
    # The setting of the address does not count.
    settings = load({"CATALOG_BIND": "0.0.0.0:1", "ORDER_BIND": "0.0.0.0:1"})
    require_safe_listeners(master, settings, getattr(settings, tier))


@pytest.mark.parametrize("host", BEYOND)
@pytest.mark.parametrize("tier", ["catalog", "order"])
def test_one_listener_beyond_loopback_needs_a_secret(master: Master, tier: str, host: str) -> None:
    master.listen_on("127.0.0.1").listen_on(host)
    settings = load({})
    with pytest.raises(SettingsError, match=f"^{tier}: gunicorn's bind: at .* set TIER_SECRET, or TRUST_NETWORK=1"):
        require_safe_listeners(master, settings, getattr(settings, tier))
    for closed in ({"TIER_SECRET": SECRET}, {"TRUST_NETWORK": "1"}):
        settings = load(closed)
        require_safe_listeners(master, settings, getattr(settings, tier))


def test_a_front_end_may_listen_anywhere(master: Master) -> None:
    for host in BEYOND:
        master.listen_on(host)
    require_safe_listeners(master, load({}), load({}).front_end)


def test_a_unix_socket_needs_no_secret(master: Master, tmp_path: Path) -> None:
    path = str(tmp_path / "catalog.sock")
    master.listen(socket.AF_UNIX, path).listen(socket.AF_UNIX, "\0" + path).listen_on("127.0.0.1")
    require_safe_listeners(master, load({}), load({}).catalog)
    *unix, tcp = addresses_of(master)
    assert unix == [f"unix:{path}", f"unix:\0{path}"]
    assert isinstance(tcp, Address) and tcp.host == "127.0.0.1"


@pytest.mark.parametrize(("option", "word"), [("reuse_port", "reuse_port"), ("is_ssl", "certfile")])
@pytest.mark.parametrize("tier", ["catalog", "order", "front_end"])
def test_an_option_that_no_tier_can_have_is_refused(master: Master, tier: str, option: str, word: str) -> None:
    setattr(master.cfg, option, True)
    settings = load({"TIER_SECRET": SECRET})
    with pytest.raises(SettingsError, match=f"^{tier}: gunicorn's {word} is refused"):
        require_safe_listeners(master, settings, getattr(settings, tier))
