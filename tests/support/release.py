"""A copy of the code that a test upgrades or breaks while tiers run from it."""

import shutil
from pathlib import Path

from tests.support.tiers import ROOT

# All folders that the tiers import or read.
CODE = ("admin", "conf", "db", "domain", "migrations", "server", "wsgi_apps")


class Release:
    """The code of the store in a folder of its own. /health answers "ok" in this release and "new" in the next one."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        for name in CODE:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))

    def change(self, file: str, old: str, new: str) -> None:
        """Replaces `old`, which must occur in the file, by `new`."""
        path = self.root / file
        text = path.read_text("utf-8")
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new), "utf-8")

    def upgrade(self) -> None:
        """Turns the copy into the next release."""
        self.change("wsgi_apps/base.py", '{"status": "ok"}', '{"status": "new"}')

    def make_unloadable(self, *files: str) -> None:
        """Makes each file raise an error when a process imports it."""
        for file in files:
            (self.root / file).write_text('raise RuntimeError("loaded too late")\n', "utf-8")
