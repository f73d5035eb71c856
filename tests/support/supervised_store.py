"""The whole store as `make run` starts it: conf.run, supervisord and four tiers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from conf.addresses import Address
from conf.health import is_healthy
from tests.support.patched_constants import gunicorn_files
from tests.support.tiers import ROOT, Tiers, children, descendants, free_port
from tests.support.waiting import wait_until

READY_TIMEOUT_S = 60.0


class SupervisedStore:
    """One `make run` on free ports. Use it as a context manager: its exit sends a Ctrl-C.

    `constants` are patched in its tiers, see tests/support/patched_constants.py. Tests set `program` and `root` to run
    another program or another copy of the code.
    """

    program = "conf.run"
    arguments: Sequence[str] = ()
    root = ROOT

    def __init__(self, data_dir: Path, constants: Mapping[str, float] | None = None, /, **settings: str) -> None:
        if constants:
            self.program = "tests.support.patched_run"
            folder = data_dir.with_name(f"{data_dir.name}-files")
            folder.mkdir()
            gunicorn_files(folder, **constants)
            settings["GUNICORN_FILES"] = str(folder)
        desk_port = free_port()
        tiers = Tiers(data_dir, **{"BACK_OFFICE_BIND": f"127.0.0.1:{desk_port}"} | settings)
        self.data_dir, self.environment, self.log = data_dir, tiers.environment, tiers.log
        self.ports = tiers.ports | {"back_office": desk_port}

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.program, *self.arguments],
                cwd=self.root,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.wait_until_ready()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.end()

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ends the store by a signal, by default a terminal's Ctrl-C, and returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def output(self) -> str:
        return self.log.read_text()

    def wait_until_ready(self) -> None:
        """Waits for the banner of `make run`."""

        def has_printed_its_banner() -> bool:
            assert self.process.poll() is None, self.output()
            return "toy store" in self.output()

        wait_until(
            "the store is ready", has_printed_its_banner, timeout_s=READY_TIMEOUT_S, every_s=0.05, details=self.output
        )

    def wait_until_all_answer(self) -> None:
        """Waits until the health checks of all tiers succeed."""

        def all_answer() -> bool:
            return all(is_healthy(Address("127.0.0.1", port)) for port in self.ports.values())

        wait_until("a killed tier comes back", all_answer, timeout_s=READY_TIMEOUT_S, every_s=0.05, details=self.output)

    def kill(self, tier: str, victim: str) -> None:
        """Sends SIGKILL to a tier's master, or to its oldest worker, as soon as that process exists."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                master = self.master(tier)
                [pid, *_] = [master] if victim == "master" else children(master)
            except (ValueError, OSError):  # supervisord has not restarted it yet
                assert time.monotonic() < deadline, f"{tier} has no {victim}: {self.output()}"
                time.sleep(0.01)
            else:
                os.kill(pid, signal.SIGKILL)
                return

    def master(self, tier: str) -> int:
        """Returns the process id of the tier's gunicorn master. Raises ValueError or OSError while none runs."""
        [supervisord] = [pid for pid in children(self.process.pid) if "supervisord" in command_of(pid)]
        [master] = [pid for pid in children(supervisord) if f"/{tier}.py" in command_of(pid)]
        return master

    def workers(self, tier: str) -> list[int]:
        """Returns the process ids of the tier's workers. Raises ValueError or OSError while it has no master."""
        return children(self.master(tier))

    def processes(self) -> list[int]:
        """Returns the process ids of conf.run, supervisord, and all others below them, in this order."""
        return [self.process.pid, *descendants(self.process.pid)]


def command_of(pid: int) -> str:
    """Returns the command line of a process, its arguments separated by NUL."""
    return Path(f"/proc/{pid}/cmdline").read_text()
