"""A wall clock that jumps under running programs. A preloaded C library simulates it.

It is not libfaketime: 0.9.10, of Debian 12, breaks time.sleep in Python 3.11
(https://github.com/wolfcw/libfaketime/issues/426).
"""

import struct
from datetime import timedelta
from pathlib import Path

from tests.faults.preload import compile_library

SOURCE = Path(__file__).with_suffix(".c")


class JumpingClock:
    """The wall clock of programs that run with the variables in `environment`."""

    def __init__(self, folder: Path) -> None:
        library, self._file = compile_library(SOURCE, folder), folder / "clock"
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._file)}

    def set_ahead(self, ahead: timedelta) -> None:
        """Lets the clock jump to the true time plus `ahead`."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", int(ahead.total_seconds())))
