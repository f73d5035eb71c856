"""The worker, by what clients do to it: dawdle, hurry, hang up, listen with half an ear."""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import apsw
import pytest
import requests

import server.worker
from tests.support.constants import gunicorn_files
from tests.support.tiers import ROOT, Tiers, free_port, open_files, products_file
from tests.support.waiting import wait_until

GET = b"GET /products/Tux HTTP/1.1\r\nHost: a\r\n\r\n"
PAGE = b"GET /products HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    folder = tmp_path_factory.mktemp("worker")
    products = products_file(folder, *(f"{name} 1.50 1000" for name in ("Tux", "Bird", "Elephant", "Whale")))
    tiers = Tiers(folder / "data", PRODUCTS=products)
    try:
        tiers.start("catalog")
        yield tiers
    finally:
        tiers.stop()


def connect(tiers: Tiers) -> socket.socket:
    return socket.create_connection(("127.0.0.1", tiers.ports["catalog"]), timeout=20)


def replies(connection: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """Status and body of the next replies; fewer when the server closes."""
    got: list[tuple[int, bytes]] = []
    with connection.makefile("rb") as stream:
        while len(got) < count and (line := stream.readline()):
            length = 0
            while (header := stream.readline().strip()) != b"":
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            got.append((int(line.split()[1]), stream.read(length)))
    return got


def quantity(tiers: Tiers, name: str) -> int:
    body = requests.get(f"{tiers.url('catalog')}/products/{name}", timeout=10).json()
    return int(body["data"]["quantity"])


def test_200_dawdling_clients_hold_up_nobody_and_are_told_so(catalog: Tiers) -> None:
    begun = time.monotonic()
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(catalog)) for _ in range(200)]
        for connection in slow:
            connection.sendall(GET[:20])
        for _ in range(20):
            assert quantity(catalog, "Tux") > 0
        told, _, _ = select.select(slow, [], [], 0)
        assert told == [] or time.monotonic() - begun >= server.worker.REQUEST_TIMEOUT_S, "they still had time"
        for connection in slow:
            [(status, body)] = replies(connection, 2)
            assert (status, json.loads(body)["error"]["message"]) == (408, "the request did not come in time")


def test_a_request_may_come_byte_by_byte(catalog: Tiers) -> None:
    request = b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{} "
    with connect(catalog) as connection:
        for at in range(len(request)):
            connection.sendall(request[at : at + 1])
            time.sleep(0.001)
        assert replies(connection, 1)[0][0] == 200


@pytest.mark.parametrize("count", [3, 1500])
def test_requests_sent_at_once_are_answered_in_their_order(catalog: Tiers, count: int) -> None:
    names = ["Tux", "Bird", "Nix"]
    with connect(catalog) as connection:
        connection.sendall(b"".join(GET.replace(b"Tux", names[at % 3].encode()) for at in range(count)))
        got = replies(connection, count)
    for at, (status, body) in enumerate(got):
        assert (status, names[at % 3].encode() in body) == ((404, False) if at % 3 == 2 else (200, True))
    assert len(got) == count


def test_a_request_behind_a_body_is_its_own(catalog: Tiers) -> None:
    before = quantity(catalog, "Elephant")
    with connect(catalog) as connection:
        connection.sendall(b"POST /Elephant/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{} " + GET)
        assert [status for status, _ in replies(connection, 2)] == [200, 200]
    assert quantity(catalog, "Elephant") == before - 1


@pytest.mark.parametrize("behind", [b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", GET.replace(b"Tux", b"Nix"), PAGE])
@pytest.mark.parametrize("last", ["nothing", "half a request", "the end"])
def test_a_buy_behind_another_request_happens_once(catalog: Tiers, behind: bytes, last: str) -> None:
    """It is in the worker's hands already when more of its connection comes."""
    before = quantity(catalog, "Bird")
    for _ in range(10):
        with connect(catalog) as connection:
            connection.sendall(behind + b"POST /Bird/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            if last == "the end":
                connection.shutdown(socket.SHUT_WR)
            elif last == "half a request":
                connection.sendall(GET[:10])
            assert replies(connection, 2)[1] == (200, b'{"message": "order has been placed"}\n')
    assert quantity(catalog, "Bird") == before - 10
    assert "Traceback" not in catalog.log.read_text()


def test_a_line_end_behind_a_body_is_no_request(catalog: Tiers) -> None:
    post = b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{} \r\n"
    with connect(catalog) as connection:
        for _ in range(3):
            connection.sendall(post)
            assert replies(connection, 1)[0][0] == 200
        time.sleep(0.2)
        connection.sendall(GET)
        assert replies(connection, 1)[0][0] == 200


def test_a_client_that_has_said_its_last_word_is_answered(catalog: Tiers) -> None:
    for request in (GET, b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n", GET + GET):
        with connect(catalog) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            assert {status for status, _ in replies(connection, 3)} == {200}


def with_little_room(tiers: Tiers) -> socket.socket:
    """A connection of a client whose end takes few replies that it does not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", tiers.ports["catalog"]))
    return connection


def test_a_client_that_does_not_read_holds_up_nobody_and_gets_all_of_it(tmp_path: Path) -> None:
    count = 5_000  # whose replies are more than the kernel's buffers take
    tiers = Tiers(tmp_path / "data", gunicorn_files(tmp_path, server__worker__RESPONSE_TIMEOUT_S=600.0))
    try:
        tiers.start("catalog")
        with with_little_room(tiers) as connection:
            sending = threading.Thread(target=connection.sendall, args=(PAGE * count,))
            sending.start()
            for _ in range(20):
                assert quantity(tiers, "Tux") > 0
            got = replies(connection, count)
            sending.join()
    finally:
        tiers.stop()
    assert len(got) == count
    assert {status for status, _ in got} == {200}
    assert len({body for _, body in got}) == 1


def test_a_head_that_does_not_end_is_refused(catalog: Tiers) -> None:
    lines = b"".join(b"H%d: %s\r\n" % (number, b"x" * 4000) for number in range(10))
    with connect(catalog) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + lines)
        [(status, body)] = replies(connection, 2)
    assert (status, json.loads(body)["error"]["code"]) == (431, 431)


def test_who_asks_before_sending_a_body_is_told_to_go_on(catalog: Tiers) -> None:
    with connect(catalog) as connection:
        connection.sendall(b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{} ")
        assert replies(connection, 1)[0][0] == 200


def test_an_old_client_is_answered_and_left(catalog: Tiers) -> None:
    with connect(catalog) as connection:
        connection.sendall(b"GET /products/Tux HTTP/1.0\r\n\r\n")
        assert [status for status, _ in replies(connection, 2)] == [200]


def test_a_client_that_hangs_up_in_the_middle_of_a_buy_harms_nobody(catalog: Tiers) -> None:
    before = quantity(catalog, "Whale")
    for _ in range(30):
        with connect(catalog) as connection:
            connection.sendall(b"POST /Whale/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            # Linger for no time: close sends a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert before - 30 <= quantity(catalog, "Whale") <= before
    assert "Traceback" not in catalog.log.read_text()


# Of a tier that is to be seen to stop sooner, whatever else the machine does.
LONG_GRACE = {"GUNICORN_CMD_ARGS": "--graceful-timeout 300"}
STOPS_WITHIN_S = 45.0


def test_an_idle_connection_does_not_keep_a_stopping_tier(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", **LONG_GRACE)
    try:
        tiers.start("catalog")
        with connect(tiers) as connection:
            connection.sendall(GET)
            assert replies(connection, 1)[0][0] == 200
            begun = time.monotonic()
            tiers.stop("catalog")
            assert time.monotonic() - begun < STOPS_WITHIN_S, "less than gunicorn's own grace, and than the keep-alive"
            assert connection.recv(1) == b""
    finally:
        tiers.stop()


def test_a_request_under_way_does_not_keep_a_stopping_tier(tmp_path: Path) -> None:
    files = gunicorn_files(tmp_path, db__connection__BUSY_TIMEOUT_MS=600_000)
    tiers = Tiers(tmp_path / "data", files, **LONG_GRACE)
    try:
        tiers.start("catalog")
        with connect(tiers) as connection, sqlite_lock(tmp_path / "data" / "catalog.db") as release:
            connection.sendall(b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until_it_waits_for_the_lock(tiers)
            stopping = threading.Thread(target=tiers.stop, args=("catalog",))
            begun = time.monotonic()
            stopping.start()
            time.sleep(0.2)
            release()
            assert replies(connection, 1)[0][0] == 200
            stopping.join()
            assert time.monotonic() - begun < STOPS_WITHIN_S
    finally:
        tiers.stop()


def wait_until_it_waits_for_the_lock(tiers: Tiers) -> None:
    """Wait until a thread of the catalog's worker has opened the database for a buy; its main thread has it open."""

    def is_under_way() -> bool:
        [worker] = tiers.workers("catalog")
        return sum(name.endswith("catalog.db") for name in open_files(worker)) > 1

    wait_until("a buy is under way", is_under_way)


@contextmanager
def sqlite_lock(path: Path) -> Iterator[Callable[[], None]]:
    """Hold the write lock until the function is called."""
    connection = apsw.Connection(str(path))
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield lambda: connection.execute("ROLLBACK").close()
    finally:
        connection.close()


APP = """
class Answer:
    def __init__(self, parts): self.parts = iter(parts)
    def __iter__(self): return self.parts
    def close(self): print("closed", flush=True)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fails": raise ZeroDivisionError
    if path == "/fails-late":
        start_response("200 OK", [("Content-Length", "10")])
        return Answer(1 / 0 for _ in range(1))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Answer([environ["wsgi.input"].read(), b"", b"-", b"end"])
"""


def test_any_wsgi_app_can_be_served(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(APP)
    port = free_port()
    gunicorn = [sys.executable, "-m", "gunicorn", "-k", "server.worker.StoreWorker", "--access-logfile", "-"]
    bind = ["--bind", f"127.0.0.1:{port}", "--no-control-socket", "--pythonpath", f"{tmp_path},{ROOT}", "some:app"]
    process = subprocess.Popen(
        [*gunicorn, *bind], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                response = requests.post(url, data=b"begin", timeout=10)
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert (response.status_code, response.text) == (200, "begin-end"), "in chunks, for it has no length"
        for path in ("/fails", "/fails-late"):
            response = requests.get(url + path, timeout=10)
            assert (response.status_code, response.json()) == (
                500,
                {"error": {"code": 500, "message": "internal server error"}},
            )
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=60)
    assert output.count("closed") == 2, "also the answer that failed"
    assert "ZeroDivisionError" in output
    assert '"POST / HTTP/1.1" 200' in output


def test_a_client_that_never_reads_is_left(tmp_path: Path) -> None:
    """Else each would keep a connection, and its replies in memory, for ever."""
    tiers = Tiers(tmp_path / "data", gunicorn_files(tmp_path, server__worker__RESPONSE_TIMEOUT_S=2.0))
    try:
        tiers.start("catalog")
        with with_little_room(tiers) as connection, pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                connection.sendall(PAGE * 1_000)
    finally:
        tiers.stop()


def open_sockets(pid: int) -> int:
    return sum(name.startswith("socket:") for name in open_files(pid))


def shares(tiers: Tiers, connections: int) -> list[int]:
    """How many of so many new connections each front-end worker takes. At the return they have ended."""
    before = {worker: open_sockets(worker) for worker in tiers.workers("front_end")}
    with ExitStack() as ending:
        shoppers = [
            ending.enter_context(socket.create_connection(("127.0.0.1", tiers.ports["front_end"])))
            for _ in range(connections)
        ]
        for shopper in shoppers:
            shopper.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        for shopper in shoppers:
            assert shopper.recv(1000).startswith(b"HTTP/1.1 200")
        taken = sorted(open_sockets(worker) - sockets for worker, sockets in before.items())
    wait_until(
        "all connections are closed",
        lambda: all(open_sockets(worker) <= sockets for worker, sockets in before.items()),
    )
    return taken


def test_the_workers_of_a_tier_share_its_connections_out(tmp_path: Path) -> None:
    """Each leaves a new connection to one that has fewer, here for as long as a busy machine may keep that one away."""
    tiers = Tiers(
        tmp_path / "data", gunicorn_files(tmp_path, server__scoreboard__ACCEPT_BACKOFF_S=600.0), FRONT_WORKERS="2"
    )
    try:
        tiers.start("front_end")
        # The first worker answers before the second has started.
        wait_until("both workers take connections", lambda: shares(tiers, 4) == [2, 2])
        for _ in range(5):
            assert shares(tiers, 32) == [16, 16]
    finally:
        tiers.stop()


def test_a_new_worker_takes_the_core_of_the_one_that_crashed(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", FRONT_WORKERS="2")
    cores = os.sched_getaffinity(0)

    def share_the_cores() -> bool:
        with suppress(ProcessLookupError):
            pinned = [os.sched_getaffinity(worker) for worker in tiers.workers("front_end")]
            return len(pinned) == 2 and len(set.union(*pinned)) == min(2, len(cores)) == sum(map(len, pinned))
        return False

    try:
        tiers.start("front_end")
        for victim in (0, 1, 1, 0):
            wait_until("each worker has a core of its own", share_the_cores)
            worker = tiers.workers("front_end")[victim]
            os.kill(worker, signal.SIGKILL)
            wait_until("it is replaced", lambda: worker not in tiers.workers("front_end"))  # noqa: B023
        wait_until("each worker has a core of its own", share_the_cores)
    finally:
        tiers.stop()


REFUSING = """
import os, resource

def refuse(*_):
    raise PermissionError(1, "Operation not permitted")

os.sched_setaffinity = resource.setrlimit = refuse
resource.getrlimit = lambda _: (256, 4096)
from conf.front_end import *
"""


def test_a_system_that_refuses_what_is_optional_stops_no_start(tmp_path: Path) -> None:
    """As seccomp does in some containers: to choose a core, to open more files."""
    (tmp_path / "refusing.py").write_text(REFUSING)
    tiers = Tiers(tmp_path / "data", {"front_end": str(tmp_path / "refusing.py")})
    try:
        tiers.start("front_end")
        wait_until("both workers have started", lambda: len(tiers.workers("front_end")) == 2)
        assert requests.get(tiers.url("front_end") + "/health", timeout=10).status_code == 200
        assert tiers.log.read_text().splitlines() == [f"front_end serves {tiers.url('front_end')}"]
    finally:
        tiers.stop()
