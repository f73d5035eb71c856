"""Processes of a cluster: each with a log file, and with all of its descendants for signals."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_POLL_S = 0.05


@dataclass
class Process:
    """A program that is started, and started again. Its output is appended to `log`."""

    name: str
    command: Sequence[str]
    log: Path
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    _running: "subprocess.Popen[bytes] | None" = None

    @property
    def pid(self) -> int | None:
        """The process id; None before the first start."""
        return None if self._running is None else self._running.pid

    def start(self) -> None:
        """Starts the program. The thread that does it must live as long as the program, see programs.as_user."""
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C of the terminal goes to the parent alone, which ends all in order
            )

    def has_ended(self) -> bool:
        """Returns whether the program was started and has ended."""
        return self._running is not None and self._running.poll() is not None

    def runs(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def terminate(self) -> None:
        """Sends SIGTERM, if the program runs."""
        if self._running is not None and self._running.poll() is None:
            self._running.terminate()

    def kill(self) -> None:
        """Kills the program and all of its descendants."""
        if self._running is not None and self._running.poll() is None:
            signal_all(descendants(self._running.pid), signal.SIGKILL)

    def wait(self, timeout_s: float) -> bool:
        """Waits until the program has ended. Returns whether it has."""
        if self._running is None:
            return True
        with suppress(subprocess.TimeoutExpired):
            self._running.wait(timeout_s)
        return self._running.poll() is not None


class Keeper:
    """Starts processes again, a moment after they have ended by themselves. One thread does it for all."""

    def __init__(self, restart_after_s: float = 1.0) -> None:
        self._restart_after_s = restart_after_s
        self._kept: list[Process] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._to_start: list[Process] = []
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def keep(self, processes: Iterable[Process]) -> None:
        """Starts those processes that do not run, and all of them again whenever they end."""
        with self._lock:
            self._to_start += processes
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self) -> None:
        """Starts nothing any more. The processes go on."""
        self._stopping.set()
        with self._lock:
            self._kept.clear()
            self._to_start.clear()

    def _keep(self) -> None:
        """Lives as long as this process: the end of the thread that has started a program would end the program."""
        due_s: dict[str, float] = {}
        while True:
            with self._lock:
                for process in self._to_start:
                    if not process.runs():
                        process.start()
                self._kept += self._to_start
                self._to_start = []
                now = time.monotonic()
                for process in self._kept:
                    if process.has_ended() and now >= due_s.setdefault(process.name, now + self._restart_after_s):
                        del due_s[process.name]
                        process.start()
            time.sleep(_POLL_S)


def descendants(pid: int) -> list[int]:
    """Returns the process and all its living descendants, parents first."""
    found, at = [pid], 0
    while at < len(found):
        with suppress(OSError):  # ended meanwhile
            found += map(int, Path(f"/proc/{found[at]}/task/{found[at]}/children").read_text().split())
        at += 1
    return found


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Sends a signal to each process that still lives."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_for(what: str, holds: Callable[[], bool], timeout_s: float, details: Callable[[], str] = lambda: "") -> None:
    """Waits until a condition holds. Raises TimeoutError, which names it."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s. {details()}".strip())
        time.sleep(0.1)
