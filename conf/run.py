"""`make run`: the three tiers under supervisord, and a box that says what to try once all of them answer.

This process only looks after the start: it refuses busy ports, waits for the tiers, and passes their lines and the
end of the run along. Keeping the tiers alive is supervisord's work.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from supervisor.xmlrpc import SupervisorTransport

from conf.health import is_healthy
from conf.settings import TIERS, Settings, Tier, load_or_exit

ROOT = Path(__file__).parents[1]
READY_WITHIN_S = 60.0
# A tier whose master was killed leaves workers that hold the port for up to a second.
PORT_FREE_WITHIN_S = 1.5

# The exit code of a tier that refuses to start; it has said why.
REFUSED = 2


class StartFailed(Exception):
    """The store did not come up. The message says why; it is empty when a tier has said it already."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def main() -> int:
    try:
        settings = load_or_exit()
        require_free_ports(settings)
        with tempfile.TemporaryDirectory(prefix="toystore-") as run_dir:
            return _run(settings, run_dir)
    except StartFailed as failure:
        if str(failure):
            print(f"toy store: {failure}", file=sys.stderr, flush=True)
        return failure.exit_code
    except KeyboardInterrupt:  # before the tiers were started
        return 130


def _run(settings: Settings, run_dir: str) -> int:
    """Start the tiers and wait for the end of the run. Raises StartFailed; then nothing is left running."""
    stopping = threading.Event()
    # In a terminal, Ctrl-C reaches supervisord as well; being told twice does it no harm.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_signal: stopping.set())
    run = subprocess.Popen(_supervisord(), cwd=ROOT, env=_environment(run_dir), stdout=subprocess.PIPE, text=True)
    lines = threading.Thread(target=_pass_along, args=(run,), daemon=True)
    lines.start()
    try:
        _wait_until_ready(settings, run_dir, stopping)
        if not stopping.is_set():
            _say(_box(settings))
        while not stopping.wait(0.2):
            if run.poll() is not None:
                raise StartFailed("supervisord ended by itself")
    finally:
        run.terminate()
        run.wait()
        lines.join(timeout=5)
    return 0


def require_free_ports(settings: Settings) -> None:
    """Raises StartFailed when a tier cannot listen on its address, or two of them would on the same."""
    with contextlib.ExitStack() as listening:
        for tier in settings.tiers:
            listening.enter_context(_listen(tier))


def _listen(tier: Tier) -> socket.socket:
    family = socket.AF_INET6 if ":" in tier.bind.host else socket.AF_INET
    deadline = time.monotonic() + PORT_FREE_WITHIN_S
    while True:
        try:
            return socket.create_server((tier.bind.host, tier.bind.port), family=family)
        except OSError as error:
            if time.monotonic() > deadline:
                why = os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else str(error)
                setting = f"{TIERS[tier.name].prefix}_BIND"
                raise StartFailed(f"{tier.name} cannot listen on {tier.bind} ({setting}): {why}") from error
        time.sleep(0.1)


def _supervisord() -> list[str]:
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", "conf/supervisord.conf"]
    # Without being told that root is meant, supervisord warns of it.
    return [*command, "--user", "root"] if os.getuid() == 0 else command


def _environment(run_dir: str) -> dict[str, str]:
    return {**os.environ, "RUN_DIR": run_dir, "PYTHON": sys.executable}


def _pass_along(run: subprocess.Popen[str]) -> None:
    assert run.stdout is not None
    for line in run.stdout:
        _say(line)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # who read our output has gone; the store goes on
        print(text, end="", flush=True)


def _wait_until_ready(settings: Settings, run_dir: str, stopping: threading.Event) -> None:
    """Raises StartFailed when a tier ends instead of answering, or takes too long."""
    deadline = time.monotonic() + READY_WITHIN_S
    waiting = list(settings.tiers)
    while waiting and not stopping.wait(0.1):
        _raise_if_one_ended(run_dir)
        waiting = [tier for tier in waiting if not is_healthy(tier.here)]
        if time.monotonic() > deadline:
            names = ", ".join(tier.name for tier in waiting)
            raise StartFailed(f"no answer within {READY_WITHIN_S:.0f} s from: {names}")


def _raise_if_one_ended(run_dir: str) -> None:
    """Raises StartFailed, with the tier's own exit code when it has refused to start."""
    transport = SupervisorTransport(serverurl=f"unix://{run_dir}/supervisor.sock")
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as supervisord:
            programs: Any = supervisord.supervisor.getAllProcessInfo()
    except (OSError, xmlrpc.client.Error):
        return  # supervisord is not up yet
    for program in programs:
        if program["statename"] not in ("STARTING", "RUNNING"):
            refused = program["exitstatus"] == REFUSED
            raise StartFailed("" if refused else f"{program['name']} did not start", REFUSED if refused else 1)


def _box(settings: Settings) -> str:
    shop = settings.front_end.address.url
    orders, catalog = settings.data_dir / "order.db", settings.data_dir / "catalog.db"
    text = "\n".join(
        [
            f"shop        {shop}",
            f"catalog     {settings.catalog.address.url}",
            f"order tier  {settings.order.address.url}",
            f"state       {catalog}  {orders}",
            "",
            "Try, in another terminal:",
            f"  curl {shop}/products/Tux",
            f"  curl -X POST {shop}/Tux/1",
            "  make client",
            f"  sqlite3 -readonly {orders} 'select * from order_log'",
            "",
            "Ctrl-C ends it; the state stays.",
        ]
    )
    console = Console(width=max(len(line) for line in text.splitlines()) + 4)
    with console.capture() as capture:
        console.print(Panel(text, title="toy store"), markup=False, highlight=False)
    return capture.get()


if __name__ == "__main__":
    sys.exit(main())
