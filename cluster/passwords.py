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
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in cls.names():
            file = folder / name
            if not file.exists():
                file.touch(mode=0o600)
                file.write_text(f"{secrets.token_urlsafe(24)}\n", "utf-8")
        return cls.read(folder)

    def roles(self) -> Mapping[str, Mapping[str, str]]:
        """Returns the roles that Patroni makes and uses, as its configuration has them."""
        return {
            "superuser": {"username": "postgres", "password": self.superuser},
            "replication": {"username": "replicator", "password": self.replication},
            "rewind": {"username": "rewinder", "password": self.rewind},
        }
