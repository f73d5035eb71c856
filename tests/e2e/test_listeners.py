"""gunicorn's own options and inherited sockets: none of them opens a tier without a secret to other machines."""

import re
import socket
import sys
from pathlib import Path

import pytest
import requests

from conf.settings import TIERS
from tests.support.books import Books, query
from tests.support.failed_starts import GUNICORN, shell_start
from tests.support.tiers import NAMES, Tiers, free_port, running

SECRET = "secret--" * 4


def assert_refused(tier: str, data: Path, ended: tuple[int, str]) -> None:
    """Asserts that a tier refused its sockets with one line and exit code 2, and created nothing."""
    code, output = ended
    [line] = output.splitlines()
    assert code == 2, output
    assert line.startswith(f"toy store: {tier}: gunicorn's bind: at ")
    assert "set TIER_SECRET, or TRUST_NETWORK=1" in line
    assert not data.exists(), "the tier creates nothing"


@pytest.mark.parametrize("tier", ["catalog", "order"])
@pytest.mark.parametrize(
    "options",
    [
        "-b 0.0.0.0:{port}",
        "--bind=[::]:{port}",
        "-b 127.0.0.1:{other} -b 0.0.0.0:{port}",
        "-b 0.0.0.0:{port} -b 127.0.0.1:{other}",
        "-b [::ffff:0.0.0.0]:{port}",
    ],
)
def test_an_option_of_gunicorn_opens_no_tier(tmp_path: Path, tier: str, options: str) -> None:
    options = options.format(port=free_port(), other=free_port())
    data = tmp_path / "data"
    assert_refused(tier, data, shell_start(tier, data, f"{GUNICORN}/{tier}.py {options}"))
    assert_refused(tier, data, shell_start(tier, data, f"{GUNICORN}/{tier}.py", GUNICORN_CMD_ARGS=options))


# systemd passes sockets from descriptor 3 on to the process with the id LISTEN_PID.
SYSTEMD = """
import os, sys
os.dup2({fd}, 3)
os.environ |= {{"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}}
os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "-c", "conf/{tier}.py"])
"""
INHERITED = {
    "systemd": f"exec {sys.executable} -c '{SYSTEMD}'",
    "a former master": "GUNICORN_PID=1 GUNICORN_FD={fd} " + GUNICORN + "/{tier}.py",
    "an option": GUNICORN + "/{tier}.py -b fd://{fd}",
}


@pytest.mark.parametrize("tier", ["catalog", "order"])
@pytest.mark.parametrize("script", INHERITED.values(), ids=list(INHERITED))
def test_an_inherited_socket_opens_no_tier_and_its_backlog_is_not_served(
    tmp_path: Path, tier: str, script: str
) -> None:
    data = tmp_path / "data"
    with (
        socket.create_server(("0.0.0.0", 0)) as listener,
        socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=10) as stranger,
    ):
        stranger.sendall(b"POST /Tux/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        script = script.format(fd=listener.fileno(), tier=tier)
        assert_refused(tier, data, shell_start(tier, data, script, [listener.fileno()]))
        listener.close()
        with pytest.raises(ConnectionResetError):  # no process accepted it
            stranger.recv(4096)


def test_the_sockets_of_gunicorn_decide_and_not_the_setting(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", GUNICORN_CMD_ARGS="")
    loopback = tiers.ports["catalog"]
    tiers.environment |= {"CATALOG_BIND": f"0.0.0.0:{loopback}", "GUNICORN_CMD_ARGS": f"-b 127.0.0.1:{loopback}"}
    try:
        tiers.start("catalog")
        tiers.stop("catalog")
        tiers.environment |= {"TIER_SECRET": SECRET, "GUNICORN_CMD_ARGS": f"-b 0.0.0.0:{loopback}"}
        tiers.start("catalog")
        assert len(re.findall("^catalog serves http://", tiers.log.read_text(), re.MULTILINE)) == 2
    finally:
        tiers.stop()


def test_a_tier_serves_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sock"
    tiers = Tiers(tmp_path / "data")
    tiers.environment["GUNICORN_CMD_ARGS"] = f"-b 127.0.0.1:{tiers.ports['catalog']} -b unix:{path}"
    try:
        tiers.start("catalog")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(b"POST /Tux/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        [[left]] = query(tiers.data_dir / "catalog.db", "SELECT quantity FROM products WHERE name = 'Tux'")
        log = tiers.log.read_text()
    finally:
        tiers.stop()
    assert left == 79
    assert f"catalog serves http://127.0.0.1:{tiers.ports['catalog']}, unix:{path}\n" in log
    assert "Traceback" not in tiers.log.read_text()


@pytest.mark.parametrize(("option", "word"), [("--reuse-port", "reuse_port"), ("--certfile={file}", "certfile")])
@pytest.mark.parametrize("tier", TIERS)
def test_an_unsupported_option_of_gunicorn_stops_the_start(tmp_path: Path, tier: str, option: str, word: str) -> None:
    file = tmp_path / "file"
    file.touch()
    code, output = shell_start(tier, tmp_path / "data", f"{GUNICORN}/{tier}.py {option.format(file=file)}")
    [line] = output.splitlines()
    assert (code, line.startswith(f"toy store: {tier}: gunicorn's {word} is refused: ")) == (2, True)
    assert not (tmp_path / "data").exists()


OPTIONS = "-w 3 --forwarded-allow-ips=* --forwarder-headers=SCRIPT_NAME,PATH_INFO"
LONG_LINE = b"GET /" + b"x" * 5_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_gunicorns_options_do_not_override_our_settings(tmp_path: Path) -> None:
    """The promises rest on our settings: one worker, its share of refusals, errors in JSON, no path from a header."""
    with running(tmp_path / "data", FRONT_WORKERS="1", GUNICORN_CMD_ARGS=OPTIONS) as tiers:
        for round_ in range(2):
            for name, port in tiers.ports.items():
                assert len(tiers.workers(name)) == 1
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    connection.sendall(LONG_LINE)
                    reply = connection.makefile("rb").read()
                assert reply.startswith(b"HTTP/1.1 414 ") and reply.endswith(b"}\n")
            headers = {"Path-Info": "/Whale/5", "Script-Name": "/Tux"}
            bought = requests.post(tiers.url("front_end") + "/Tux/1", headers=headers, timeout=10)
            assert bought.json() == {"data": {"order_number": str(round_)}}
            for name in tiers.ports:  # a reload reads the options again
                tiers.reload(name)
        assert Books.read(tiers.data_dir).products == {"Tux": 78, "Whale": 94, "Elephant": 87, "Bird": 98}
        tiers.stop()
        log = tiers.log.read_text()
    for name in NAMES:
        assert f"{name}: gunicorn's workers=3 is not taken; it stays 1" in log
        assert f"{name}: gunicorn's forwarded_allow_ips=" in log
    assert "Traceback" not in log
