"""The passwords of a cluster, each in a file that only its owner reads."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Passwords:
    """The passwords of the superuser, of replication, of pg_rewind, of the store's role, and of Patroni's API."""

    superuser: str
    replication: str
    rewind: str
    store: str
    patroni: str

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Returns the names of the passwords, which are those of their files."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Returns the passwords in the files of a folder. Raises OSError, and ValueError for an empty file."""
        values = {name: (folder / name).read_text("utf-8").strip() for name in cls.names()}
        for name, value in values.items():
            if not value:
                raise ValueError(f"{folder / name} is empty")
        return cls(**values)

    @classmethod
    def made_once(cls, folder: Path) -> Self:
        """Makes the missing files of a folder, and returns the passwords. Raises OSError."""
        for name in cls.names():
            write_once(folder / name, secrets.token_urlsafe(24))
        return cls.read(folder)

    def roles(self) -> Mapping[str, Mapping[str, str]]:
        """Returns the roles that Patroni makes and uses, as its configuration has them."""
        return {
            "superuser": {"username": "postgres", "password": self.superuser},
            "replication": {"username": "replicator", "password": self.replication},
            "rewind": {"username": "rewinder", "password": self.rewind},
        }


def write_once(file: Path, secret: str) -> None:
    """Writes a secret to a file that only its owner reads, unless the file is there. Raises OSError."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        staged = file.with_name(f".{file.name}")  # a start that is killed leaves no empty file under the name
        staged.touch(mode=0o600)
        staged.write_text(f"{secret}\n", "utf-8")
        staged.replace(file)
