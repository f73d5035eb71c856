"""The checks of the sockets on which a tier listens, whatever the settings say of them."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conf.addresses import Address
from conf.listeners import addresses_of, require_safe_listeners, require_supported_worker
from conf.settings import TIERS, load
from conf.variables import SettingsError

SECRET = "secret--" * 4
LOOPBACK = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]
WILDCARDS = ["0.0.0.0", "::", "::ffff:0.0.0.0"]


class Master:
    """gunicorn's master, reduced to the settings and the listeners that the checks read."""

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


@pytest.mark.parametrize("tier", ["catalog", "order"])
def test_a_tier_behind_that_listens_only_on_loopback_needs_no_secret(master: Master, tier: str) -> None:
    for host in LOOPBACK:
        master.listen_on(host)
    settings = load({"CATALOG_BIND": "0.0.0.0:1", "ORDER_BIND": "0.0.0.0:1"})
    assert settings.secrets is None
    require_safe_listeners(master, settings, getattr(settings, tier))


@pytest.mark.parametrize("host", WILDCARDS)
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
    for host in WILDCARDS:
        master.listen_on(host)
    settings = load({})
    require_safe_listeners(master, settings, settings.front_end)
    with pytest.raises(SettingsError):
        require_safe_listeners(master, settings, settings.catalog)


@pytest.mark.parametrize("host", WILDCARDS)
def test_a_back_office_listens_beyond_loopback_only_where_its_setting_says_so(master: Master, host: str) -> None:
    settings = load({"OWNER_SECRET": SECRET, "TRUST_NETWORK": "1"})
    master.listen_on("127.0.0.1")
    require_safe_listeners(master, settings, settings.back_office)
    master.listen_on(host)
    with pytest.raises(SettingsError, match=r"^back_office: gunicorn's bind: at .* set BACK_OFFICE_BIND to it"):
        require_safe_listeners(master, settings, settings.back_office)
    settings = load({"OWNER_SECRET": SECRET, "BACK_OFFICE_BIND": "0.0.0.0"})
    require_safe_listeners(master, settings, settings.back_office)


@pytest.mark.parametrize(("worker", "is_supported"), [("gthread", True), ("sync", False), ("gevent", False)])
def test_a_back_office_needs_threads_and_no_warning(
    caplog: pytest.LogCaptureFixture, worker: str, is_supported: bool
) -> None:
    master = SimpleNamespace(cfg=SimpleNamespace(worker_class_str=worker), worker_class=object)
    if is_supported:
        require_supported_worker(master, load({}).back_office)
    else:
        with pytest.raises(SettingsError, match=f"^back_office: gunicorn's worker_class={worker} is refused"):
            require_supported_worker(master, load({}).back_office)
    assert caplog.messages == []


def test_a_unix_socket_needs_no_secret(master: Master, tmp_path: Path) -> None:
    path = str(tmp_path / "catalog.sock")
    master.listen(socket.AF_UNIX, path).listen(socket.AF_UNIX, "\0" + path).listen_on("127.0.0.1")
    require_safe_listeners(master, load({}), load({}).catalog)
    *unix, tcp = addresses_of(master)
    assert unix == [f"unix:{path}", f"unix:\0{path}"]
    assert isinstance(tcp, Address) and tcp.host == "127.0.0.1"


@pytest.mark.parametrize(("option", "word"), [("reuse_port", "reuse_port"), ("is_ssl", "certfile")])
@pytest.mark.parametrize("tier", TIERS)
def test_reuse_port_and_tls_are_refused(master: Master, tier: str, option: str, word: str) -> None:
    setattr(master.cfg, option, True)
    settings = load({"TIER_SECRET": SECRET})
    with pytest.raises(SettingsError, match=f"^{tier}: gunicorn's {word} is refused"):
        require_safe_listeners(master, settings, getattr(settings, tier))
