"""`make run`: runs the four tiers under supervisord, and prints a banner once all of them answer.

This process refuses busy ports, makes a secret for the owner where none is set, waits for the tiers, forwards their
output, and ends them at a signal. supervisord keeps the tiers alive. `make run-postgres` runs them on a PostgreSQL that
this process starts before them and ends after them.
"""

import argparse
import contextlib
import errno
import itertools
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from supervisor.xmlrpc import SupervisorTransport

from conf.addresses import is_wildcard, reachable_addresses
from conf.health import is_healthy
from conf.output_thread import Stream, write_in_background
from conf.owner_secret import login_link, make_secret_file, secret_file, with_owner
from conf.ports import holder_of
from conf.run_postgres import lead_admin_here, places, run_postgres, show_order_log
from conf.settings import (
    TIERS,
    Settings,
    Tier,
    describe,
    load_or_exit,
    refuse_to_start,
    require_private_or_secret,
    with_database_files,
)
from conf.variables import SettingsError
from db.start import StartRefused

ROOT = Path(__file__).parents[1]
CONFIGURATION = ROOT / "conf" / "supervisord.conf"
START_TIMEOUT_S = 60.0
# After a kill of `make run`, or of a tier's master, the orphaned processes end by themselves in about a second.
PORT_FREE_TIMEOUT_S = 3.0

# The exit code of a tier that refuses to start. The tier has printed the reason.
REFUSED = 2


class StartFailed(Exception):
    """The store did not start. The message says why; it is empty when a tier has printed the reason."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def main(arguments: Sequence[str] = (), configuration: Path = CONFIGURATION) -> int:
    """Runs the store until a signal ends it, and returns the exit code. `configuration` is supervisord's file.

    The `arguments` are those of the command line: --help prints the help and ends the program.
    """
    output = write_in_background()
    given = _parser().parse_args(arguments)
    with contextlib.ExitStack() as stack:
        return _prepare_and_run(configuration, output, stack if given.postgres else None)


def _prepare_and_run(configuration: Path, output: Stream, postgres: contextlib.ExitStack | None) -> int:
    """Does what `main` does. With the stack `postgres`, starts a PostgreSQL, which the stack then ends."""
    try:
        settings = load_or_exit()
        require_private_or_secret(settings, settings.catalog, settings.order)
        require_free_ports(settings)
        files = {} if postgres is None else run_postgres(settings, postgres)
        environment = {**files, **_make_owner(settings)}
        settings = with_owner(settings if postgres is None else with_database_files(settings, files))
        # The path of a Unix socket may have about 100 bytes.
        folder = "/tmp" if len(tempfile.gettempdir()) > 60 else None
        with tempfile.TemporaryDirectory(prefix="toystore-", dir=folder) as run_dir:
            environment |= {"RUN_DIR": run_dir, "PYTHON": sys.executable}
            return _run(settings, configuration, environment, output)
    except (SettingsError, StartRefused) as error:
        refuse_to_start(str(error))
    except StartFailed as failure:
        if str(failure):
            print(f"toy store: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:  # before the tiers were started
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conf.run",
        description="Start the tiers of the toy store and keep them alive. Ctrl-C ends it; the state stays.",
        epilog=describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--postgres", action="store_true", help="on a PostgreSQL of their own, whose data are in DATA_DIR/postgres"
    )
    return parser


def _make_owner(settings: Settings) -> dict[str, str]:
    """Makes a secret of the owner if none is set. Returns the variables for the tiers. Raises StartFailed.

    supervisord.conf leaves them out for the front end.
    """
    if settings.owner_secrets is not None:
        return {}
    try:
        warning = make_secret_file(secret_file(settings))
    except OSError as error:
        why = f"cannot make the secret of the owner: {error.strerror}"
        raise StartFailed(f"{secret_file(settings)} (DATA_DIR): {why}") from error
    if warning:
        print(f"toy store: {warning}", file=sys.stderr)
    return {"OWNER_SECRET_FILE": str(secret_file(settings))}


def _run(settings: Settings, configuration: Path, environment: Mapping[str, str], output: Stream) -> int:
    """Starts the tiers and waits for the end of the run. Raises StartFailed, and then leaves no process running."""
    stopping = Stopping()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup SIGHUP is ignored: the store must outlive its terminal.
        if not (number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN):
            signal.signal(number, stopping.ask)
    run = _supervisord(configuration, environment)
    serving: set[str] = set()
    lines = threading.Thread(target=_pass_along, args=(run, serving, output), daemon=True)
    lines.start()
    try:
        waiting = list(settings.tiers)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not stopping.asked:
            time.sleep(0.1)
            if run.poll() is not None:
                raise StartFailed("supervisord ended by itself")
            if waiting:
                waiting = _still_starting(waiting, serving, environment["RUN_DIR"], deadline)
                if not waiting:
                    print(_banner(settings), end="")
    finally:
        run.terminate()
        run.wait()
        lines.join(timeout=5)
    return 0


class Stopping:
    """A flag that signals set, to end the run. An Event has a lock, which the interrupted thread may hold."""

    asked = False

    def ask(self, *_signal: object) -> None:
        """Sets the flag, as a signal handler."""
        self.asked = True


def require_free_ports(settings: Settings) -> None:
    """Raises StartFailed when a tier cannot listen on its address, or two tiers have the same address."""
    for one, other in itertools.combinations(settings.tiers, 2):
        if one.bind == other.bind:
            variables = f"{one.bind_variable} and {other.bind_variable}"
            raise StartFailed(f"{one.name} and {other.name} cannot both listen on {one.bind}: see {variables}", REFUSED)
    with contextlib.ExitStack() as listening:
        for tier in settings.tiers:
            listening.enter_context(_listen(tier))


def _listen(tier: Tier) -> socket.socket:
    """Listens on the address of a tier. Raises StartFailed when it is still in use after PORT_FREE_TIMEOUT_S."""
    deadline = time.monotonic() + PORT_FREE_TIMEOUT_S
    while True:
        try:
            return socket.create_server((tier.bind.host, tier.bind.port), family=tier.bind.family)
        except OSError as error:
            if time.monotonic() > deadline:
                why = os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else str(error)
                if error.errno == errno.EADDRINUSE and (holder := holder_of(tier.bind)):
                    why = f"{holder} has it: {why}"
                raise StartFailed(f"{tier.name} cannot listen on {tier.bind} ({tier.bind_variable}): {why}") from error
        time.sleep(0.1)


def _supervisord(configuration: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Starts supervisord, which ends when this process ends. Its standard output has the output of the tiers, too."""
    # SIGKILL ends it: on SIGTERM it would stop the tiers one after the other. The tiers end by themselves without it.
    command = [sys.executable, "-m", "conf.with_parent", str(os.getpid()), "SIGKILL", "supervisor.supervisord"]
    command += ["--configuration", str(configuration)]
    if os.getuid() == 0:
        command += ["--user", "root"]  # otherwise supervisord warns that it runs as root
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # otherwise a terminal after Ctrl-S would block it
        process_group=0,  # a SIGHUP of the terminal would make it restart the tiers, also under nohup
    )


def _pass_along(run: "subprocess.Popen[bytes]", serving: set[str], output: Stream) -> None:
    """Prints the output of the tiers, and adds each tier that serves to `serving`."""
    assert run.stdout is not None
    for line in run.stdout:
        name, verb, *_ = [*line.split(), b"", b""]
        if verb == b"serves":
            serving.add(name.decode("ascii", "replace"))
        output.pass_along(line)


def _still_starting(waiting: list[Tier], serving: set[str], run_dir: str, deadline: float) -> list[Tier]:
    """Returns the tiers that do not answer yet. Raises StartFailed when one has ended, or at the deadline.

    A tier must have printed that it serves: another store could answer at its address.
    """
    _raise_if_one_ended(run_dir)
    waiting = [tier for tier in waiting if tier.name not in serving or not is_healthy(tier.local_address)]
    if waiting and time.monotonic() > deadline:
        names = ", ".join(tier.name for tier in waiting)
        raise StartFailed(f"no answer within {START_TIMEOUT_S:.0f} s from: {names}")
    return waiting


def _raise_if_one_ended(run_dir: str) -> None:
    """Raises StartFailed when a tier has ended, with the tier's exit code when it has refused to start."""
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


def _elsewhere(tier: Tier) -> list[str]:
    """Returns the addresses at which other machines reach a tier that listens on all interfaces; otherwise none."""
    return [address.url for address in reachable_addresses(tier.bind)] if is_wildcard(tier.bind.host) else []


def _urls(tier: Tier) -> str:
    return ", ".join(address.url for address in tier.addresses)


def _banner(settings: Settings) -> str:
    """Returns the box with the addresses, the state, and commands to try. No line of it is wrapped.

    The link that logs in follows the box, for a terminal that is narrower than the link would break it.
    """
    shop, desk = settings.front_end.address.url, settings.back_office.address.url
    default = f"http://127.0.0.1:{TIERS['front_end'].port}"
    client = "make client" if shop == default else f"FRONT={shop} make client"
    text = "\n".join(
        [
            f"shop        {', '.join(dict.fromkeys([shop, *_elsewhere(settings.front_end)]))}",
            f"desk        {', '.join(dict.fromkeys([desk, *_elsewhere(settings.back_office)]))}",
            f"catalog     {_urls(settings.catalog)}",
            f"order tier  {_urls(settings.order)}",
            f"state       {'  '.join(places(settings))}",
            "",
            "Try, in another terminal:",
            f"  curl {shop}/products/Tux",
            f"  curl -X POST {shop}/Tux/1",
            f"  {client}",
            f"  {show_order_log(settings)}",
            "",
            "Ctrl-C ends it; the state stays.",
        ]
    )
    console = Console(width=max(len(line) for line in text.splitlines()) + 4)
    with console.capture() as capture:
        console.print(Panel(text, title="toy store"), markup=False, highlight=False)
    about = f"This link opens the desk once, within an hour; {_login_command(settings)} prints another one:"
    return f"{capture.get()}{lead_admin_here(settings)}{about}\n{login_link(settings)}\n"


def _login_command(settings: Settings) -> str:
    """Returns the command that prints another link to this desk, for a terminal in the folder of `make run`."""
    here, python, desk = Path.cwd(), Path(sys.executable), settings.back_office
    variables = {}
    if str(desk.bind) != f"127.0.0.1:{TIERS['back_office'].port}":
        variables[desk.bind_variable] = str(desk.bind)
    if desk.address.url != f"http://{desk.bind}":
        variables["BACK_OFFICE"] = desk.address.url
    if settings.data_dir.absolute() != here / "data":
        variables["DATA_DIR"] = str(settings.data_dir.absolute())
    assignments = "".join(f"{name}={shlex.quote(value)} " for name, value in variables.items())
    program = python.relative_to(here) if python.is_relative_to(here) else python
    return f"{assignments}{shlex.quote(str(program))} -m admin login"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
