"""A copy of the code, which a test may change while tiers run from it: the next release."""

import shutil
from pathlib import Path

from tests.support.tiers import ROOT

CODE = ("admin", "conf", "db", "domain", "migrations", "server", "wsgi_apps")


class Release:
    """The code of the store in a folder of its own. At /health its tiers say "ok", those of the next release "new"."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        for name in CODE:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))

    def change(self, file: str, old: str, new: str) -> None:
        """Put `new` in the place of `old`, which must be there."""
        path = self.root / file
        text = path.read_text("utf-8")
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new), "utf-8")

    def renew(self) -> None:
        """Make it the next release."""
        self.change("wsgi_apps/base.py", '{"status": "ok"}', '{"status": "new"}')

    def spoil(self, *files: str) -> None:
        """Let each file be one that no process can load."""
        for file in files:
            (self.root / file).write_text('raise RuntimeError("loaded too late")\n', "utf-8")
