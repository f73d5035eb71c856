"""Replaces SQLite's default disk (VFS) by one of the tests for a while."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import apsw


class PassthroughVFS(apsw.VFS):
    """A VFS that passes everything on to SQLite's own, as a base class for simulated disks."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "unix", makedefault=True)

    def xSleep(self, microseconds: int) -> int:
        """Waits for a lock. During apsw's own xSleep no other thread runs, and so none can release the lock."""
        time.sleep(microseconds / 1e6)
        return microseconds


@contextmanager
def in_use(vfs: apsw.VFS, checkpoint_pages: int) -> Iterator[None]:
    """Keeps the VFS as SQLite's default while the block runs. In it a WAL is checkpointed at `checkpoint_pages` pages.

    All connections that are opened in the block must be closed in it.
    """

    def set_autocheckpoint(connection: apsw.Connection) -> None:
        connection.wal_autocheckpoint(checkpoint_pages)

    apsw.connection_hooks.append(set_autocheckpoint)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(set_autocheckpoint)
        vfs.unregister()
