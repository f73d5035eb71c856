"""Reads the versions of the peers' software. bench/machine.py has those of the machine and the store."""

import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from bench.peers.pocketbase import BINARY
from bench.peers.system import System


def versions(folder: Path, systems: Iterable[System]) -> dict[str, str]:
    """Returns the versions by their labels, after the systems have written their databases in `folder`."""
    facts = {
        "Flask": version("flask"),
        "SQLAlchemy": version("sqlalchemy"),
        "gevent": version("gevent"),
        "PocketBase": _last_word(str(BINARY), "--version"),
        "file system": _last_word("df", "--output=fstype", str(folder)),
    }
    for system in systems:
        if system.database is not None:
            facts[f"SQLite of {system.name}"] = sqlite_version(system.database)
    return facts


def sqlite_version(database: Path) -> str:
    """Returns the version of SQLite that wrote the file last: https://sqlite.org/fileformat2.html, offset 96."""
    with database.open("rb") as file:
        number = int.from_bytes(file.read(100)[96:])
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


def _last_word(*command: str) -> str:
    """Returns the last word that a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
