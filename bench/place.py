"""Measures the check, before each commit and read, that the database files have not moved: `python -m bench.place`."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from db.sqlite.connection import connect
from db.sqlite.database import Database
from db.sqlite.open_file import OpenFile

ROUNDS = 5
CALLS = 5_000
COMMITS = 200


def microseconds(call: Callable[[], object], calls: int) -> float:
    """Returns the time of one call in the fastest round: on a busy machine the slower rounds measure the machine."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (time.perf_counter() - begun) / calls)
    return best * 1e6


def main() -> None:
    """Prints the times of the checks, and of a whole commit to compare them with."""
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-place-") as folder:
        path = Path(folder, "t.db")
        path.touch()
        connection = connect(path)
        connection.execute("CREATE TABLE t (x)").fetchall()
        open_file, database = OpenFile(connection, path), Database(path)

        def commit() -> None:
            with database.write() as transaction:
                transaction.execute("INSERT INTO t VALUES (1)").fetchall()

        print(f"before a read    {microseconds(open_file.require_database_unmoved, CALLS):7.1f} µs")
        print(f"before a commit  {microseconds(open_file.require_unmoved, CALLS):7.1f} µs")
        print(f"a whole commit   {microseconds(commit, COMMITS):7.1f} µs")
        database.close()
        connection.close()


if __name__ == "__main__":
    main()
