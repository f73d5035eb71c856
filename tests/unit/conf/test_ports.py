"""The search for the process that listens on a port."""

import os
import re
import socket
import subprocess
import sys

import pytest

from conf.addresses import Address
from conf.ports import holder_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the holder of a port is read from /proc")

LISTENER = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::1", "::"])
def test_the_process_that_has_a_port_is_found(host: str) -> None:
    with socket.create_server((host, 0), family=Address(host, 1).family) as server:
        port = server.getsockname()[1]
        holder = holder_of(Address(host, port))
    assert holder is not None
    assert re.fullmatch(rf"process {os.getpid()} \(.*python.*\)", holder)


def test_a_master_is_found_and_not_its_workers() -> None:
    program = f"{LISTENER}; import os; os.fork(); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True) as master:
        try:
            assert master.stdout is not None
            port = int(master.stdout.readline())
            holder = holder_of(Address("127.0.0.1", port))
            assert holder is not None
            assert holder.startswith(f"process {master.pid} ({sys.executable} -c import socket")
            assert len(holder) < 300
        finally:
            os.killpg(master.pid, 9)


def test_the_port_of_another_address_is_free() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        assert holder_of(Address("127.0.0.1", port)) is None
        assert holder_of(Address("0.0.0.0", port)) is not None


def test_a_free_port_has_no_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert holder_of(Address("127.0.0.1", port)) is None
    assert holder_of(Address("no.such.host.invalid", port)) is None
