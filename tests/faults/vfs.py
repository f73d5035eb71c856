"""A VFS of the tests as SQLite's default, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw


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
