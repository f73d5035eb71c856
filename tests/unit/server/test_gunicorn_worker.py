"""The undocumented parts of gunicorn that server/gunicorn_worker.py uses.

When a newer gunicorn fails one of these tests, read that file first: it lists the parts and their meaning.
"""

import inspect
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator

import gunicorn
import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.sock import create_sockets
from gunicorn.workers.base import Worker

from server.gunicorn_worker import GunicornWorker


class App:
    """gunicorn's application, reduced to its app."""

    def wsgi(self) -> str:
        return "the app"


@pytest.fixture
def config() -> Config:
    config = Config()
    config.set("max_requests", 2)
    return config


@pytest.fixture
def worker(config: Config) -> Iterator[GunicornWorker]:
    worker = GunicornWorker(7, os.getpid(), [], App(), 30, config, Logger(config))
    yield worker
    worker.tmp.close()


def test_the_master_makes_a_worker_from_seven_arguments(worker: GunicornWorker) -> None:
    assert (worker.age, worker.ppid, worker.sockets, worker.nr, worker.alive) == (7, os.getpid(), [], 0, True)
    assert worker.max_requests == 2


def test_gunicorns_worker_has_the_attributes_that_ours_uses() -> None:
    for method in ("notify", "init_process", "run"):
        assert callable(getattr(Worker, method)), f"gunicorn {gunicorn.__version__} has no Worker.{method}"
    assert hasattr(Worker, "PIPE"), f"gunicorn {gunicorn.__version__} has no Worker.PIPE"


def test_the_access_log_takes_four_arguments(config: Config) -> None:
    assert list(inspect.signature(Logger.access).parameters) == ["self", "resp", "req", "environ", "request_time"]
    assert Logger(config).access(None, None, {}, None) is None, "it is off by default, and then ignores its arguments"


def test_a_worker_stops_after_max_requests(worker: GunicornWorker) -> None:
    worker.count_request()
    assert worker.alive
    worker.count_request()
    assert not worker.alive


def test_a_hook_is_none_unless_the_settings_define_it(worker: GunicornWorker, config: Config) -> None:
    assert worker.hook("pre_request") is None
    assert worker.hook("post_request") is None
    seen: list[object] = []
    config.set("pre_request", lambda _worker, request: seen.append(request))
    hook = worker.hook("pre_request")
    assert hook is not None
    hook(worker, "request")
    assert seen == ["request"]


def test_a_worker_whose_master_has_ended_is_an_orphan(worker: GunicornWorker) -> None:
    worker.ppid = os.getppid()
    assert not worker.is_orphan()
    worker.ppid = 1 if os.getppid() != 1 else 2
    assert worker.is_orphan()


WORKER_PROCESS = """
import os, select, signal, sys
from gunicorn.config import Config
from gunicorn.glogging import Logger
from server.gunicorn_worker import GunicornWorker

class App:
    def wsgi(self): return "the app"

class Probe(GunicornWorker):
    def run(self):
        assert self.wsgi == "the app"
        assert not os.get_blocking(self.PIPE[0]) and not os.get_blocking(self.PIPE[1])
        os.kill(os.getpid(), signal.SIGTERM)
        assert select.select([self.PIPE[0]], [], [], 10)[0], "a signal writes to the pipe"
        assert not self.alive
        print("stops")

config = Config()
Probe(1, os.getppid(), [], App(), 30, config, Logger(config)).init_process()
"""


def test_init_process_loads_the_app_and_calls_run_where_signals_write_to_the_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKER_PROCESS], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "stops\n"), done.stderr


def test_gunicorns_listeners_do_not_block_and_can_be_closed() -> None:
    config = Config()
    config.set("bind", "127.0.0.1:0")
    [listener] = create_sockets(config, Logger(config))
    with socket.create_connection(listener.getsockname()):
        poll = select.poll()  # select() takes no descriptor above 1,023
        poll.register(listener, select.POLLIN)
        assert poll.poll(10_000)
        accepted, _ = listener.accept()
        accepted.close()
        with pytest.raises(BlockingIOError):
            listener.accept()
    listener.close()
