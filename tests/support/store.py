"""The whole store as `make run` starts it: conf.run, with supervisord behind it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from conf.addresses import Address
from conf.health import is_healthy
from tests.support.constants import gunicorn_files
from tests.support.tiers import ROOT, Tiers, children
from tests.support.waiting import wait_until

READY_WITHIN_S = 60.0


class Store:
    """One `make run` on free ports. Use as a context manager; the end is a Ctrl-C.

    `constants` of our modules are others in its tiers, see tests/support/constants.py.
    """

    program = "conf.run"
    root = ROOT

    def __init__(self, data_dir: Path, constants: Mapping[str, float] | None = None, /, **settings: str) -> None:
        if constants:
            self.program = "tests.support.run_with"
            folder = data_dir.with_name(f"{data_dir.name}-files")
            folder.mkdir()
            gunicorn_files(folder, **constants)
            settings["GUNICORN_FILES"] = str(folder)
        tiers = Tiers(data_dir, **settings)
        self.data_dir, self.ports, self.url, self.environment = data_dir, tiers.ports, tiers.url, tiers.environment
        self.log = tiers.log

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.program],
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
        """End the store as a terminal does; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def output(self) -> str:
        return self.log.read_text()

    def wait_until_ready(self) -> None:
        def has_begun() -> bool:
            assert self.process.poll() is None, self.output()
            return "toy store" in self.output()

        wait_until("the store is ready", has_begun, timeout_s=READY_WITHIN_S, every_s=0.05, details=self.output)

    def wait_until_all_answer(self) -> None:
        def all_answer() -> bool:
            return all(is_healthy(Address("127.0.0.1", port)) for port in self.ports.values())

        wait_until("a killed tier comes back", all_answer, timeout_s=READY_WITHIN_S, every_s=0.05, details=self.output)

    def kill(self, tier: str, victim: str) -> None:
        """kill -9 of a tier's master, or of one of its workers, as soon as there is one."""
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                master = self.master(tier)
                [pid, *_] = [master] if victim == "master" else children(master)
            except (ValueError, OSError):  # between an end and a return
                assert time.monotonic() < deadline, f"{tier} has no {victim}: {self.output()}"
                time.sleep(0.01)
            else:
                os.kill(pid, signal.SIGKILL)
                return

    def master(self, tier: str) -> int:
        """The process id of the tier's gunicorn master."""
        [supervisord] = children(self.process.pid)
        [master] = [pid for pid in children(supervisord) if f"/{tier}.py" in command_of(pid)]
        return master

    def processes(self) -> list[int]:
        """All processes of this store."""
        found, new = [], [self.process.pid]
        while new:
            found += new
            new = [child for pid in new for child in children(pid)]
        return found


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
