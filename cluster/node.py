"""One database node on this machine: its member of etcd, its Patroni, and the PostgreSQL that Patroni starts."""

import os
import pwd
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cluster import etcd, patroni
from cluster.layout import Layout, Node
from cluster.passwords import Passwords
from cluster.processes import Process, descendants, signal_all
from cluster.programs import Programs, as_user

Wrap = Callable[[Node, list[str]], list[str]]


def unwrapped(_node: Node, command: list[str]) -> list[str]:
    """Returns the command of a node as it is."""
    return command


class LocalNode:
    """A node whose state is in a folder of its own. `wrap` changes its commands, to run in a network of its own."""

    def __init__(
        self,
        layout: Layout,
        node: Node,
        folder: Path,
        programs: Programs,
        passwords: Passwords,
        wrap: Wrap = unwrapped,
    ) -> None:
        self.node = node
        self.name = node.name
        self.folder = folder
        self._user = programs.user
        files = patroni.Files(folder, programs.postgres, folder / "first.sql")
        folder.mkdir(parents=True, exist_ok=True)
        patroni.write(files, patroni.configuration(layout, node, files, passwords), passwords)
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(folder)}
        if programs.patroni_path:
            environment["PYTHONPATH"] = programs.patroni_path

        def process(name: str, command: Sequence[str]) -> Process:
            whole = wrap(node, as_user(programs.setpriv, programs.user, command))
            return Process(f"{node.name} {name}", whole, folder / f"{name}.log", folder, environment)

        self.etcd = process("etcd", etcd.command(programs.etcd, layout, node, folder / "etcd"))
        self.patroni = process("patroni", [*programs.patroni, str(files.configuration)])
        self._give_folder_away()

    @property
    def processes(self) -> tuple[Process, Process]:
        """The processes, in the order of their start."""
        return self.etcd, self.patroni

    def start(self) -> None:
        """Starts etcd and Patroni, which starts PostgreSQL."""
        for process in self.processes:
            process.start()

    def postmaster(self) -> int | None:
        """Returns the process id of PostgreSQL; None while none runs."""
        try:
            pid = int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])
            is_ours = str(self.folder) in Path(f"/proc/{pid}/cmdline").read_text()
        except (OSError, ValueError, IndexError):
            return None
        return pid if is_ours else None

    def postgres_pids(self) -> list[int]:
        """Returns the processes of PostgreSQL, the postmaster first."""
        postmaster = self.postmaster()
        return [] if postmaster is None else descendants(postmaster)

    def pids(self) -> list[int]:
        """Returns all living processes of the node."""
        started = [process.pid for process in self.processes if process.runs() and process.pid is not None]
        found = [pid for each in started for pid in descendants(each)]
        return list(dict.fromkeys([*found, *self.postgres_pids()]))

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to all processes of the node, and to those that they started meanwhile."""
        signalled: set[int] = set()
        while pids := set(self.pids()) - signalled:
            signal_all(pids, number)
            signalled |= pids

    def kill(self) -> None:
        """Kills all processes of the node at once, as the loss of its machine would."""
        self.signal(signal.SIGKILL)

    def free_shared_memory(self) -> None:
        """Removes the segment of System V shared memory that a killed PostgreSQL of this node leaves behind."""
        file = self.folder / "postgres" / "postmaster.pid"
        with suppress(OSError, ValueError, IndexError):
            segment = int(file.read_text().splitlines()[6].split()[1])
            if self.postmaster() is None:
                os.spawnvp(os.P_WAIT, "ipcrm", ["ipcrm", "-m", str(segment)])

    def _give_folder_away(self) -> None:
        """Gives the folder and all in it to the user as whom the servers run. Raises OSError."""
        self.folder.chmod(0o700)
        if self._user is not None:
            user = pwd.getpwnam(self._user)
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, user.pw_uid, user.pw_gid)
