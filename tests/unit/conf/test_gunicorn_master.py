"""The undocumented parts of gunicorn that conf/gunicorn_master.py needs. A newer gunicorn may fail here first.

Each failure names the code to look at. The behaviour itself is tested with real tiers, in tests/e2e/test_upgrades.py,
test_listeners.py and test_workers.py, and in tests/integration/test_output_of_tiers.py.
"""

import inspect
import os
import signal
import sys
from types import ModuleType
from typing import Any

import gunicorn
import pytest
from gunicorn.app import base as gunicorn_app
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.gasgi import ASGIWorker
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.sync import SyncWorker

from conf import gunicorn_master, listeners
from conf.listeners import EVENT_LOOP_MODULES
from conf.settings import load

# The message of a failure, with two names: the part of gunicorn, and our code that needs it.
LOOK = f"gunicorn {gunicorn.__version__}: look at %s, and at %s in conf/gunicorn_master.py"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """gunicorn's master before its start, without a settings file of a tier."""
    monkeypatch.setattr(sys, "argv", ["gunicorn", "-c", "/dev/null", "no.such:app"])
    monkeypatch.setenv("SERVER_SOFTWARE", "")  # gunicorn sets it, and monkeypatch restores it
    config = ModuleType("__config__")
    config.workers = 7  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__config__", config)
    application = WSGIApplication()
    monkeypatch.setitem(sys.modules, "__config__", config)  # in the place of the one that gunicorn has just loaded
    return Arbiter(application)


def test_the_master_has_its_listening_sockets_before_when_ready(server: Any) -> None:
    assert server.LISTENERS == [], LOOK % ("Arbiter.LISTENERS", "sockets_of")
    source = inspect.getsource(Arbiter.start)
    assert "self.LISTENERS = sock.create_sockets" in source, LOOK % ("Arbiter.start", "sockets_of")
    assert source.index("self.LISTENERS =") < source.index("when_ready"), LOOK % ("Arbiter.start", "sockets_of")


def test_the_master_handles_only_the_signals_in_its_list(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    handled: list[int] = []
    monkeypatch.setattr(signal, "signal", lambda number, _handler: handled.append(number))
    monkeypatch.setattr(signal, "getsignal", lambda _number: signal.SIG_IGN)
    monkeypatch.setattr(server.log, "close_on_exec", lambda: None)
    server.init_signals()
    assert signal.SIGHUP in handled, LOOK % ("Arbiter.init_signals", "keep_sighup_ignored")
    handled.clear()
    gunicorn_master.keep_sighup_ignored(server)
    server.init_signals()
    assert handled and signal.SIGHUP not in handled, LOOK % ("Arbiter.init_signals", "keep_sighup_ignored")
    assert signal.SIGHUP in Arbiter.SIGNALS, "only the list of this master changes"


def test_a_successor_runs_the_same_command(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(os, "chdir", lambda _folder: None)
    monkeypatch.setattr(os, "execvpe", lambda *command: started.append(command))
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-W", "error", "-m", "gunicorn", "-c", "conf/catalog.py"])
    gunicorn_master.start_successors_by_same_command(server)
    server.reexec()
    [(program, arguments, environment)] = started
    assert program == sys.executable, LOOK % ("Arbiter.reexec", "start_successors_by_same_command")
    assert arguments == [sys.executable, "-W", "error", "-m", "gunicorn", "-c", "conf/catalog.py"], LOOK % (
        "Arbiter.reexec",
        "start_successors_by_same_command",
    )
    assert environment["GUNICORN_PID"] == str(os.getpid()), LOOK % ("Arbiter.reexec", "is_successor")


def test_a_master_is_a_successor_until_the_former_master_has_ended(server: Any) -> None:
    assert not gunicorn_master.is_successor(server)
    source = inspect.getsource(Arbiter.start)
    assert "self.master_pid = int(os.environ.get('GUNICORN_PID'))" in source, LOOK % ("Arbiter.start", "is_successor")
    server.master_pid = 7
    assert gunicorn_master.is_successor(server)


def test_a_reload_does_not_read_the_settings_file_again(server: Any) -> None:
    gunicorn_master.reload_without_reading(server)
    assert server.cfg.workers == 1
    server.app.reload()
    server.setup(server.app)
    assert server.cfg.workers == 7, LOOK % ("Application.get_config_from_filename", "reload_without_reading")
    source = inspect.getsource(gunicorn_app.Application.get_config_from_filename)
    assert "module_name = '__config__'" in source, LOOK % ("get_config_from_filename", "reload_without_reading")


def test_settings_of_the_master_can_be_overridden(server: Any) -> None:
    tier = load({}).front_end
    gunicorn_master.override_settings(server, tier, {"workers": 5, "forwarded_allow_ips": ""})
    assert (server.cfg.workers, server.num_workers) == (5, 5), LOOK % ("Arbiter.num_workers", "override_settings")
    assert server.cfg.forwarded_allow_ips == [], LOOK % ("gunicorn.config.Setting", "override_settings")


@pytest.mark.parametrize("worker", [SyncWorker, ThreadWorker])
def test_workers_without_an_event_loop_are_recognized(server: Any, worker: type[Worker]) -> None:
    server.worker_class = worker
    assert not EVENT_LOOP_MODULES & gunicorn_master.bases_of_worker(server), LOOK % (
        worker.__module__,
        "bases_of_worker",
    )


def test_workers_with_an_event_loop_are_recognized(server: Any) -> None:
    server.worker_class = AsyncWorker
    assert EVENT_LOOP_MODULES & gunicorn_master.bases_of_worker(server), LOOK % (
        "gunicorn.workers.base_async",
        "EVENT_LOOP_MODULES in conf/listeners.py",
    )
    server.worker_class = ASGIWorker
    assert "gunicorn.workers.gasgi" in gunicorn_master.bases_of_worker(server), LOOK % (
        "gunicorn.workers.gasgi",
        "listeners.py",
    )


def test_a_derived_worker_is_treated_as_its_base_class(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Derived(ThreadWorker):  # type: ignore[misc]
        pass

    server.worker_class = Derived
    server.cfg.set("worker_class", Derived)
    listeners.require_supported_worker(server, load({}).catalog)
    assert caplog.messages == ["catalog: its worker is gunicorn's Derived and not the store's own: it is slower"]


def test_the_logger_adds_each_handler_by_set_handler() -> None:
    look = f"gunicorn {gunicorn.__version__}: look at gunicorn.glogging, and at TierLogger in conf/logs.py"
    assert list(inspect.signature(Logger._set_handler).parameters) == ["self", "log", "output", "fmt", "stream"], look
    assert inspect.getsource(Logger.setup).count("self._set_handler(") == 2, look
    assert "_gunicorn" in inspect.getsource(Logger._get_gunicorn_handler), look
