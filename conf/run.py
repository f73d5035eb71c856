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

_GONE_WRONG = {"BACKOFF", "FATAL", "EXITED", "UNKNOWN"}


class StartFailed(Exception):
    """The store did not come up; the message says what to do."""


def main() -> int:
    settings = load_or_exit()
    try:
        for tier in settings.tiers:
            require_free_port(tier)
        require_distinct_ports(settings)
    except StartFailed as failure:
        return _failed(failure)
    with tempfile.TemporaryDirectory(prefix="toystore-") as run_dir:
        return _run(settings, run_dir)


def _run(settings: Settings, run_dir: str) -> int:
    run = subprocess.Popen(_supervisord(), cwd=ROOT, env=_environment(run_dir), stdout=subprocess.PIPE, text=True)
    stopping = threading.Event()

    def stop(*_signal: object) -> None:
        stopping.set()
        with contextlib.suppress(ProcessLookupError):
            run.send_signal(signal.SIGTERM)

    # In a terminal, Ctrl-C reaches supervisord as well; being told twice does it no harm.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    lines = threading.Thread(target=_pass_along, args=(run,), daemon=True)
    lines.start()
    failure = None
    try:
        _wait_until_ready(settings, run_dir, stopping)
        if not stopping.is_set():
            print(_box(settings), flush=True)
    except StartFailed as problem:
        failure = problem
        stop()
    status = run.wait()
    lines.join(timeout=5)
    if failure:
        return _failed(failure)
    return status if stopping.is_set() else _failed(StartFailed("supervisord ended by itself"))


def require_free_port(tier: Tier) -> None:
    """Raises StartFailed when the tier cannot listen on its address."""
    deadline = time.monotonic() + PORT_FREE_WITHIN_S
    while True:
        try:
            with socket.create_server((tier.bind.host, tier.bind.port)):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                why = os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else str(error)
                setting = f"{TIERS[tier.name].prefix}_BIND"
                raise StartFailed(f"{tier.name} cannot listen on {tier.bind} ({setting}): {why}") from error
        time.sleep(0.1)


def require_distinct_ports(settings: Settings) -> None:
    """Raises StartFailed when two tiers would listen on one port."""
    by_port: dict[int, Tier] = {}
    for tier in settings.tiers:
        if other := by_port.get(tier.bind.port):
            raise StartFailed(f"{other.name} and {tier.name} cannot both listen on port {tier.bind.port}")
        by_port[tier.bind.port] = tier


def _supervisord() -> list[str]:
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", "conf/supervisord.conf"]
    # Without being told that root is meant, supervisord warns of it.
    return [*command, "--user", "root"] if os.getuid() == 0 else command


def _environment(run_dir: str) -> dict[str, str]:
    return {**os.environ, "RUN_DIR": run_dir, "PYTHON": sys.executable}


def _pass_along(run: subprocess.Popen[str]) -> None:
    assert run.stdout is not None
    for line in run.stdout:
        with contextlib.suppress(OSError):  # who read our output has gone; the store goes on
            print(line, end="", flush=True)


def _wait_until_ready(settings: Settings, run_dir: str, stopping: threading.Event) -> None:
    """Raises StartFailed when a tier ends instead of answering, or takes too long."""
    deadline = time.monotonic() + READY_WITHIN_S
    waiting = list(settings.tiers)
    while waiting and not stopping.wait(0.1):
        if ended := _ended(run_dir):
            time.sleep(0.3)  # its last line is still on the way to the terminal
            raise StartFailed(f"{ended} did not start; its own line stands above")
        waiting = [tier for tier in waiting if not is_healthy(tier.address)]
        if time.monotonic() > deadline:
            names = ", ".join(tier.name for tier in waiting)
            raise StartFailed(f"no answer within {READY_WITHIN_S:.0f} s from: {names}")


def _ended(run_dir: str) -> str | None:
    """The name of a tier that has ended since the start, if any."""
    transport = SupervisorTransport(serverurl=f"unix://{run_dir}/supervisor.sock")
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as supervisord:
            programs: Any = supervisord.supervisor.getAllProcessInfo()
    except (OSError, xmlrpc.client.Error):
        return None  # supervisord is not up yet
    return next((program["name"] for program in programs if program["statename"] in _GONE_WRONG), None)


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


def _failed(failure: StartFailed) -> int:
    print(f"toy store: {failure}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
