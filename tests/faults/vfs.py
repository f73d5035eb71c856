"""A VFS of the tests as SQLite's default, for a while."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import apsw


class StandIn(apsw.VFS):
    """SQLite's own disk as its default, for others to build on."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "unix", makedefault=True)

    def xSleep(self, microseconds: int) -> int:
        """The wait for a lock. apsw's own sleeps with the interpreter's lock, which who holds the other needs."""
        time.sleep(microseconds / 1e6)
        return microseconds


@contextmanager
def in_use(vfs: apsw.VFS, checkpoint_pages: int) -> Iterator[None]:
    """Until the end of the block, with a checkpoint whenever a WAL has so many pages.

    All connections that are opened meanwhile must be closed meanwhile.
    """

    def check_often(connection: apsw.Connection) -> None:
        connection.wal_autocheckpoint(checkpoint_pages)

    apsw.connection_hooks.append(check_often)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(check_often)
        vfs.unregister()
