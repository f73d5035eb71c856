"""python -m conf.run, the program behind `make run`: its banner, its errors, its end."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from conf.addresses import Address, reachable_addresses
from conf.settings import TIERS
from tests.support.shoppers import session
from tests.support.supervised_store import SupervisedStore
from tests.support.tiers import ROOT, children, free_port
from tests.support.waiting import wait_until


def wait_until_gone(pids: list[int]) -> None:
    """Waits until none of these processes exists."""
    wait_until("its processes are gone", lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_banner_shows_what_to_try_and_the_end_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    with SupervisedStore(tmp_path / "data") as store:
        banner = store.output()
        for text in (
            *(store.url(name) for name in TIERS),
            f"curl {store.url('front_end')}/products/Tux",
            "make client",
            f"sqlite3 -readonly {tmp_path}/data/order.db",
            "catalog.db",
        ):
            assert text in banner
        command = re.search("within an hour; (.*) prints another one:", banner)
        assert command is not None
        bare = {"PATH": os.environ["PATH"]}
        link = subprocess.run(command[1], shell=True, cwd=ROOT, env=bare, capture_output=True, text=True, timeout=30)
        assert link.stdout.startswith(f"{store.url('back_office')}/login?token="), link.stderr
        assert requests.post(store.url("front_end") + "/Tux/1", timeout=10).json() == {"data": {"order_number": "0"}}
        pids = store.processes()
        assert len(pids) >= 10, "conf.run, supervisord, four masters and their workers"
        assert store.end(number) == 0
        wait_until_gone(pids)
        assert "Traceback" not in store.output()


def test_a_killed_tier_is_restarted(tmp_path: Path) -> None:
    with SupervisedStore(tmp_path / "data") as store, session() as shop:
        for tier in TIERS:
            # A keep-alive connection must not keep the killed master's worker, and with it the port, alive.
            assert shop.get(store.url(tier) + "/health", timeout=10).status_code == 200
            before = store.master(tier)
            store.kill(tier, "master")
            wait_until_another_master(store, tier, before)
            store.wait_until_all_answer()


def wait_until_another_master(store: SupervisedStore, tier: str, before: int) -> None:
    """Waits until supervisord has restarted the master of a tier."""

    def is_restarted() -> bool:
        try:
            return store.master(tier) != before
        except (ValueError, OSError):  # supervisord has not restarted it yet
            return False

    wait_until(f"the master of {tier} is restarted", is_restarted)


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m conf.run` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "conf.run", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_the_settings_and_starts_nothing(tmp_path: Path) -> None:
    ended = run(SupervisedStore(tmp_path / "data").environment, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: python -m conf.run [-h] [--postgres]\n")
    assert "DATA_DIR" in ended.stdout
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("argument", ["catalog", "--port=1"])
def test_an_unknown_argument_starts_nothing(tmp_path: Path, argument: str) -> None:
    ended = run(SupervisedStore(tmp_path / "data").environment, argument)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith(f"error: unrecognized arguments: {argument}\n")
    assert not (tmp_path / "data").exists()


def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    store = SupervisedStore(tmp_path / "data")
    with socket.create_server(("127.0.0.1", store.ports["order"])):
        ended = run(store.environment)
    assert ended.returncode == 1
    assert ended.stdout == ""
    line = r"toy store: order cannot listen on 127\.0\.0\.1:\d+ \(ORDER_BIND\): process (\d+) \(.*\) has it: .*in use\n"
    match = re.fullmatch(line, ended.stderr)
    assert match is not None, ended.stderr
    assert int(match[1]) == os.getpid()
    assert not (tmp_path / "data").exists()


def test_a_second_run_is_refused_and_the_first_still_serves(tmp_path: Path) -> None:
    with SupervisedStore(tmp_path / "data") as store:
        assert run(store.environment).returncode == 1
        assert requests.get(store.url("front_end") + "/products/Tux", timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("settings", "code", "line"),
    [
        ({"ORDER_WORKERS": "0"}, 2, "toy store: ORDER_WORKERS='0'"),
        ({"FRONT_BIND": "no.such.host.invalid:80"}, 1, "FRONT_BIND"),
        ({"PRODUCTS": "nowhere.txt"}, 2, "nowhere.txt"),
    ],
)
def test_a_failed_start_prints_the_reason_and_leaves_no_process(
    tmp_path: Path, settings: dict[str, str], code: int, line: str
) -> None:
    store = SupervisedStore(tmp_path / "data", **settings)
    ended = run(store.environment)
    assert ended.returncode == code
    assert line in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    for port in store.ports.values():
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_two_tiers_on_one_port_are_refused(tmp_path: Path) -> None:
    store = SupervisedStore(tmp_path / "data")
    store.environment["ORDER_BIND"] = store.environment["CATALOG_BIND"]
    ended = run(store.environment)
    address = f"127.0.0.1:{store.ports['catalog']}"
    assert (ended.returncode, ended.stdout) == (2, "")
    assert (
        ended.stderr
        == f"toy store: catalog and order cannot both listen on {address}: see CATALOG_BIND and ORDER_BIND\n"
    )


def test_orders_are_kept_across_runs(tmp_path: Path) -> None:
    for number in range(2):
        with SupervisedStore(tmp_path / "data") as store:
            response = requests.post(store.url("front_end") + "/Tux/1", timeout=10)
            assert response.json() == {"data": {"order_number": str(number)}}
            assert os.path.exists(tmp_path / "data" / "order.db")


def test_the_error_of_a_tier_is_printed_once(tmp_path: Path) -> None:
    ended = run(SupervisedStore(tmp_path / "data", PRODUCTS="nowhere.txt").environment)
    [line] = [line for line in (ended.stdout + ended.stderr).splitlines() if "nowhere.txt" in line]
    assert line.startswith("toy store: catalog: ")
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.5])
def test_an_early_sigterm_leaves_no_process(tmp_path: Path, after_s: float) -> None:
    process = begin(SupervisedStore(tmp_path / "data"))
    pids = [process.pid, *supervisord_of(process)]
    time.sleep(after_s)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")
    wait_until_gone(pids)


def test_ctrl_c_during_the_wait_for_a_busy_port_prints_no_traceback(tmp_path: Path) -> None:
    store = SupervisedStore(tmp_path / "data")
    with socket.create_server(("127.0.0.1", store.ports["order"])):
        process = begin(store)
        # conf.run binds one port after the other, the catalog's first.
        wait_until("it waits", lambda: process.poll() is not None or is_bound(store.ports["catalog"]), every_s=0.005)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors
    assert process.returncode != 0


def is_bound(port: int) -> bool:
    """Returns whether a process has bound the port."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return False
    except OSError:
        return True


def test_a_closed_pipe_does_not_end_the_store(tmp_path: Path) -> None:
    store = SupervisedStore(tmp_path / "data")
    process = begin(store)
    assert process.stdout is not None
    process.stdout.close()  # as in `make run | head -1`
    try:
        store.wait_until_all_answer()
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0
        assert process.stderr is not None
        process.stderr.close()


def test_a_tier_listens_on_ipv6_too(tmp_path: Path) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
    with SupervisedStore(tmp_path / "data", FRONT_BIND=f"[::1]:{port}") as store:
        assert requests.get(f"http://[::1]:{port}/products/Tux", timeout=10).status_code == 200
        assert f"http://[::1]:{port}/products/Tux" in store.output()


def begin(store: SupervisedStore) -> "subprocess.Popen[bytes]":
    """Starts `python -m conf.run`, and does not wait for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "conf.run"],
        cwd=ROOT,
        env=store.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def supervisord_of(process: "subprocess.Popen[bytes]") -> list[int]:
    """Waits until supervisord has started, and returns its process id in a list."""
    while not (pids := children(process.pid)):
        assert process.poll() is None
    return pids


def test_many_signals_end_the_store_cleanly(tmp_path: Path) -> None:
    for _ in range(3):
        with SupervisedStore(tmp_path / "data") as store:
            pids = store.processes()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) * 20:
                store.process.send_signal(number)
            assert store.process.wait(timeout=60) == 0
            wait_until_gone(pids)


def test_a_tier_that_cannot_start_is_retried_until_it_can(tmp_path: Path) -> None:
    with SupervisedStore(tmp_path / "data") as store:
        hidden = tmp_path / "hidden.db"
        database = tmp_path / "data" / "catalog.db"
        store.kill("catalog", "master")
        database.rename(hidden)
        database.mkdir()  # SQLite cannot open a folder
        time.sleep(3)
        database.rmdir()
        hidden.rename(database)
        store.wait_until_all_answer()
        assert requests.get(store.url("front_end") + "/products/Tux", timeout=10).status_code == 200


def test_a_store_on_every_address_prints_one_that_other_machines_reach(tmp_path: Path) -> None:
    port = free_port()
    [own] = reachable_addresses(Address("0.0.0.0", port))
    with SupervisedStore(tmp_path / "data", FRONT_BIND=f"0.0.0.0:{port}") as store:
        assert f"front_end serves {own.url}\n" in store.output()
        assert re.search(rf"shop +http://127\.0\.0\.1:{port}(?:, {re.escape(own.url)})? ", store.output())
        assert "0.0.0.0" not in store.output()
        assert requests.get(f"{own.url}/products/Tux", timeout=10).status_code == 200
