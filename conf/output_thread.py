"""Standard output and error that never make a program wait, and never fail it.

Nobody may read them: a terminal after Ctrl-S, a pipe whose reader sleeps or has gone, a full disk, a closed file. So a
thread writes, and what it cannot write in time is dropped and counted.
"""

import atexit
import io
import os
import sys
import threading
from _thread import start_new_thread
from contextlib import suppress
from queue import SimpleQueue

from conf.output import open_streams, write_all

# The thread and its queue come from their modules by name: gunicorn's gevent worker puts its own there, of which all
# share one loop, and a thread that waited for a terminal would hold up all requests.

# Beyond, what is printed is dropped. Of a tier's usual lines this is about 100 kB.
MAX_WAITING = 1000
# At the end of the process, for what is not written yet.
FLUSH_TIMEOUT_S = 1.0


class Writer:
    """Writes to an open file, in a thread that starts with the first bytes.

    It is safe to use it in a signal handler, and on both sides of a fork.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Begin anew. After a fork the thread is the parent's, and so is what it has not written."""
        self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
        # Reentrant: a signal handler may print while its own thread does.
        self._changed = threading.Condition(threading.RLock())
        self._waiting = 0
        self._lost_lines = 0
        self._runs = False

    def put(self, chunk: bytes) -> None:
        """Have this written. It never waits; when too much is waiting, the chunk is dropped and counted."""
        with self._changed:
            if self._waiting >= MAX_WAITING:
                self._lost_lines += chunk.count(b"\n")
                return
            self._waiting += 1
            self._chunks.put(chunk)
            if not self._runs:
                with suppress(RuntimeError):  # the system gives no thread now; perhaps it does for the next chunk
                    start_new_thread(self._run, ())
                    self._runs = True

    def flush(self, timeout_s: float) -> None:
        """Wait until all is written, but not for longer than this."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout_s)

    def close(self) -> None:
        """Close the file once all is written, in the background. Nothing may be put any more."""
        with self._changed:
            if self._runs:
                self._chunks.put(None)
            else:
                os.close(self._file)

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            with self._changed:
                lost, self._lost_lines = self._lost_lines, 0
            if lost:
                notice = f"toy store: process {os.getpid()} dropped {lost} lines here that could not be written\n"
                lost = 0 if self._write(notice.encode()) else lost
            if not self._write(chunk):
                lost += chunk.count(b"\n")
            with self._changed:
                self._lost_lines += lost
                self._waiting -= 1
                self._changed.notify_all()
        os.close(self._file)

    def _write(self, chunk: bytes) -> bool:
        """Whether it is written. It waits for as long as the reader lets it wait."""
        try:
            write_all(self._file, chunk)
        except OSError:
            return False
        return True


class Stream(io.TextIOBase):
    """A text stream over a writer, in the place of sys.stdout or sys.stderr. Lines leave in one piece.

    A character that the encoding does not have is written as an escape.
    """

    def __init__(self, writer: Writer, file: int, encoding: str) -> None:
        self._writer = writer
        self._file = file
        self._encoding = encoding
        self._begun = threading.local()  # print gives a line in pieces, and several threads may print

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file

    def isatty(self) -> bool:
        return os.isatty(self._file)

    def write(self, text: str) -> int:
        lines, newline, self._begun.line = (getattr(self._begun, "line", "") + text).rpartition("\n")
        self._put(lines + newline)
        return len(text)

    def flush(self) -> None:
        """Let the writer have what this thread has begun to write. It does not wait for the writer."""
        begun, self._begun.line = getattr(self._begun, "line", ""), ""
        self._put(begun)

    def pass_along(self, chunk: bytes) -> None:
        """Write bytes as they are."""
        self._writer.put(chunk)

    def drain(self) -> None:
        """Wait until all is written, but not for long."""
        self.flush()
        self._writer.flush(FLUSH_TIMEOUT_S)

    def _put(self, text: str) -> None:
        if text:
            self._writer.put(text.encode(self._encoding, "backslashreplace"))


def write_in_background() -> Stream:
    """Put such streams in the place of this process's standard output and error. Returns that of the output."""
    open_streams()
    writer = Writer(1)
    sys.stdout = output = Stream(writer, 1, sys.stdout.encoding)
    # On one terminal, or in one file, the lines of both keep their order.
    sys.stderr = Stream(writer if os.path.sameopenfile(1, 2) else Writer(2), 2, sys.stderr.encoding)
    atexit.register(sys.stderr.drain)
    atexit.register(output.drain)
    return output
