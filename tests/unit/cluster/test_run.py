"""`make cluster`: what it says when it cannot start."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import run
from cluster.layout import Ports, loopback_layout
from cluster.programs import Missing, Programs
from cluster.tiers import LocalTiers, TierPorts
from tests.support.tiers import free_port


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Puts the handlers of signals back, which the program sets for its own process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


PROGRAMS = Programs("etcd", "haproxy", "setpriv", Path("/bin"), ("patroni",), "", None)


def test_missing_programs_are_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find(folder: Path, requirements: Path) -> Programs:
        raise Missing("etcd is missing; on Debian: apt-get install etcd-server")

    monkeypatch.setattr(run, "find", find)
    assert run.main(["--folder", str(tmp_path / "data")]) == 1
    assert capsys.readouterr().err == "cluster: etcd is missing; on Debian: apt-get install etcd-server\n"


def test_an_address_in_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    layout = loopback_layout(Ports(*(free_port() for _ in range(4))))
    tiers = LocalTiers(tmp_path, "postgresql://", PROGRAMS, TierPorts(*(free_port() for _ in range(5))))
    run._require_free(layout, tiers)
    with (
        socket.create_server(("127.0.0.3", layout.ports.etcd)),
        pytest.raises(OSError, match=rf"127\.0\.0\.3:{layout.ports.etcd} is in use"),
    ):
        run._require_free(layout, tiers)


def test_the_help_names_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(["--help"])
    assert ended.value.code == 0
    assert "cluster-data" in capsys.readouterr().out
