"""Two catalogs and two order tiers on one PostgreSQL, or on two, and a front end that knows the addresses of all."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.books import Books, assert_audit_is_clean
from tests.support.tiers import ROOT, Tiers, clean_environment


class TwoOfEach:
    """The processes of one store. `first` has the front end, too."""

    def __init__(self, folder: Path, catalog_database: str, order_database: str, **settings: str) -> None:
        """Starts nothing. `settings` are those of all tiers."""
        self._folder = folder
        self.databases = {"CATALOG_DATABASE": catalog_database, "ORDER_DATABASE": order_database}
        settings = {**self.databases, "CATALOG_WORKERS": "1", "ORDER_WORKERS": "1", "FRONT_WORKERS": "1"} | settings
        self.first, self.second = (Tiers(folder / name, **settings) for name in ("first", "second"))
        for name, prefix in (("catalog", "CATALOG"), ("order", "ORDER")):
            addresses = ",".join(f"127.0.0.1:{tiers.ports[name]}" for tiers in (self.first, self.second))
            for tiers in (self.first, self.second):
                tiers.environment[prefix] = addresses

    @property
    def shop(self) -> str:
        """The URL of the front end."""
        return self.first.url("front_end")

    @property
    def behind(self) -> Iterator[tuple[Tiers, str]]:
        """The tiers behind the front end."""
        yield from ((tiers, name) for name in ("order", "catalog") for tiers in (self.first, self.second))

    def start(self) -> None:
        """Starts all tiers, and waits until they answer."""
        self.first.start("catalog", "order", "front_end")
        self.second.start("catalog", "order")

    def stop(self) -> None:
        """Ends all tiers."""
        self.first.stop()
        self.second.stop()

    def books(self) -> Books:
        """Returns the books, after an audit. No buy may be under way."""
        copy = self._folder / "copy"
        done = subprocess.run(
            [sys.executable, "-m", "admin", "copy-out", str(copy)],
            cwd=ROOT,
            env=clean_environment() | self.databases,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert_audit_is_clean(copy)
        return Books.read(copy)

    def logs(self) -> str:
        """Returns what all tiers have printed."""
        return "".join(tiers.log.read_text() for tiers in (self.first, self.second) if os.path.exists(tiers.log))


@contextmanager
def two_of_each(folder: Path, catalog_database: str, order_database: str, **settings: str) -> Iterator[TwoOfEach]:
    """Runs them until the end of the block."""
    store = TwoOfEach(folder, catalog_database, order_database, **settings)
    try:
        store.start()
        yield store
    finally:
        store.stop()
