"""Runs the tiers as processes: gunicorn from the repository root, on free ports, with a fresh DATA_DIR."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from conf.addresses import Address
from conf.health import is_healthy
from conf.settings import TIERS
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
# The tiers of a query and a buy. The back office is started by the tests that are about it.
NAMES = ("catalog", "order", "front_end")
START_TIMEOUT_S = 60.0
# Below the ephemeral ports, which begin at 32,768. The system gives these to connections, so one could take a reserved
# port before its tier has started.
_PORTS = iter(range(20_000, 32_768))
_claims: list[socket.socket] = []  # keeps the reservations until this process ends


def free_port() -> int:
    """Returns a port without a listener, and reserves it until this process ends: no other test gets it."""
    for port in _PORTS:
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))  # UDP, which no tier uses
            with socket.create_server(("127.0.0.1", port)):
                _claims.append(claim)
                return port
        except OSError:  # reserved or in use
            claim.close()
    raise AssertionError("no port is free")


def clean_environment() -> dict[str, str]:
    """Returns the environment without the variables of the store, of gunicorn and of pytest."""
    tiers = tuple(tier.prefix for tier in TIERS.values())
    settings = ("DATA_DIR", "PRODUCTS", "PICTURES", "CURRENCY", "BACKUP_DIR", "BOOKS_DIR", "WORKER")
    prefixes = (
        *tiers,
        *settings,
        "TIER_",
        "OWNER_",
        "TRUST_",
        "REFUSED_",
        "DATABASE_",
        "PATIENCE_",
        "GUNICORN",
        "PYTEST",
    )
    # `p` is the client's probability of a buy.
    return {name: value for name, value in os.environ.items() if name != "p" and not name.startswith(prefixes)}


def products_file(folder: Path, *lines: str) -> str:
    """Writes a file of products for the setting PRODUCTS, and returns its path."""
    path = folder / "products.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


class Tiers:
    """The processes of one store. All of them print to the file `log`. With OWNER_SECRET it has a back office, too.

    `gunicorn_files` has gunicorn's settings file of each tier that does not use conf/<tier>.py. `root` is the folder of
    the code, and `program` the command that starts gunicorn there.
    """

    root = ROOT
    program: Sequence[str] = (sys.executable, "-m", "gunicorn")

    def __init__(self, data_dir: Path, gunicorn_files: Mapping[str, str] | None = None, /, **settings: str) -> None:
        self.data_dir = data_dir
        self.ports = {name: free_port() for name in (TIERS if "OWNER_SECRET" in settings else NAMES)}
        binds = {f"{TIERS[name].prefix}_BIND": f"127.0.0.1:{port}" for name, port in self.ports.items()}
        self.environment = clean_environment() | {"DATA_DIR": str(data_dir)} | binds | settings
        self._gunicorn_files = {name: f"conf/{name}.py" for name in TIERS} | dict(gunicorn_files or {})
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, *names: str) -> None:
        """Starts tiers (NAMES when none is named) and waits until they answer."""
        names = names or NAMES
        with self.log.open("ab") as log:
            for name in names:
                command = [*self.program, "-c", self._gunicorn_files[name]]
                self._processes[name] = subprocess.Popen(
                    command, cwd=self.root, env=self.environment, stdout=log, stderr=log, start_new_session=True
                )
        for name in names:
            self.wait_until_it_answers(name)

    def wait_until_it_answers(self, name: str) -> None:
        def answers() -> bool:
            assert self._processes[name].poll() is None, f"{name} ended: {self.log.read_text()}"
            return is_healthy(Address("127.0.0.1", self.ports[name]))

        wait_until(f"{name} answers", answers, timeout_s=START_TIMEOUT_S, every_s=0.05, details=self.log.read_text)

    def master(self, name: str) -> int:
        """Returns the process id of the tier's gunicorn master."""
        return self._processes[name].pid

    def workers(self, name: str) -> list[int]:
        """Returns the process ids of the tier's workers, oldest first."""
        return children(self._processes[name].pid)

    def reload(self, name: str) -> None:
        """Sends SIGHUP to the tier's master, and waits until all of its workers are replaced and it answers."""
        before = set(self.workers(name))
        os.kill(self.master(name), signal.SIGHUP)

        def are_replaced() -> bool:
            now = self.workers(name)
            return bool(now) and not before & set(now)

        wait_until(f"the workers of {name} are replaced", are_replaced, details=self.log.read_text)
        self.wait_until_it_answers(name)

    def stop(self, *names: str) -> None:
        """Sends SIGTERM to tiers (to all when none is named), as supervisord does, and waits until they have ended."""
        ending = [self._processes.pop(name) for name in names or tuple(self._processes)]
        for process in ending:
            process.terminate()
        for process in ending:
            try:
                process.wait(timeout=60)
            finally:
                _kill_group(process.pid)


def open_files(pid: int) -> list[str]:
    """Returns the open files of a process: paths, and sockets as `socket:[number]`."""
    names = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            names.append(str(descriptor.readlink()))
    return names


def children(pid: int) -> list[int]:
    """Returns the process ids of the living children, oldest first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid: int) -> list[int]:
    """Returns the process ids of all living descendants, children first."""
    found: list[int] = []
    parents = [pid]
    while parents:
        generation = []
        for parent in parents:
            with suppress(OSError):  # ended meanwhile
                generation += children(parent)
        found += generation
        parents = generation
    return found


@contextmanager
def running(data_dir: Path, gunicorn_files: Mapping[str, str] | None = None, /, **settings: str) -> Iterator[Tiers]:
    """Runs the three tiers of a store until the end of the block."""
    tiers = Tiers(data_dir, gunicorn_files, **settings)
    try:
        tiers.start()
        yield tiers
    finally:
        tiers.stop()


def _kill_group(group: int) -> None:
    """Kills a process group, because orphaned workers of a killed master can outlive a test by a second."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
