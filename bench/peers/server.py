"""Starts and stops the server processes of the peers."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.tiers import ROOT, free_port

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 15.0


class Server:
    """A server process in a process group of its own, which a Ctrl-C in the terminal does not reach."""

    def __init__(
        self, command: Sequence[str], *, port: int, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_it_answers(self) -> None:
        """Waits for any HTTP response. Raises AssertionError when the process ends or is too slow."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, f"it ended: {self._log.read_text()}"
            assert time.monotonic() < deadline, f"it does not answer: {self._log.read_text()}"
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/health", timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


def gunicorn(settings: str, log: Path, environment: Mapping[str, str], *options: str) -> Server:
    """Starts gunicorn with further options and a settings file that takes its address from BIND."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", settings, *options]
    return Server(command, port=port, log=log, environment={**os.environ, **environment, "BIND": f"127.0.0.1:{port}"})


class ServerSystem:
    """Base of systems that consist of servers. The load goes to the server that was started last."""

    def __init__(self) -> None:
        self._servers: list[Server] = []

    @property
    def url(self) -> str:
        return self._servers[-1].url

    @property
    def pids(self) -> list[int]:
        return [server.pid for server in self._servers]

    def serve(self, server: Server) -> str:
        """Waits until a started server answers, and returns its URL."""
        self._servers.append(server)
        server.wait_until_it_answers()
        return server.url

    def stop(self) -> None:
        for server in reversed(self._servers):
            server.stop()
