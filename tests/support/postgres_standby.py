"""A standby of an embedded PostgreSQL server, for tests."""

import shutil
import subprocess
from pathlib import Path

from conf.embedded_postgres import EmbeddedPostgres


class Standby(EmbeddedPostgres):
    """A server that follows a running `primary`. Its data begin with a copy of the primary's."""

    def __init__(self, folder: Path, primary: EmbeddedPostgres) -> None:
        """Starts nothing. The standby removes its folder at the end."""
        super().__init__(folder, is_temporary=True)
        self._primary = primary

    def _initialize(self, programs: Path) -> None:
        shutil.copy2(self._primary.folder / "password", self.folder)
        unfinished = self.folder / "data.unfinished"
        command = [
            str(programs / "pg_basebackup"),
            "-d",
            self._primary.address(),
            "-D",
            str(unfinished),
            "-R",
            "-c",
            "fast",
        ]
        subprocess.run(command, cwd="/", check=True, capture_output=True, **self._identity())
        unfinished.rename(self.folder / "data")
