"""Standard output and error that never block a program, and never fail it.

The reader may be missing: a terminal after Ctrl-S, a pipe whose reader sleeps or has gone, a full disk, a closed file.
Therefore a thread writes the output, and drops and counts the lines that it cannot write in time.
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

# start_new_thread and SimpleQueue are imported by name, before gunicorn's gevent worker replaces those of the modules:
# its threads share one event loop, and a thread that waited for a terminal would block all requests.

# Further chunks are dropped. A full queue of a tier's usual lines takes about 100 kB of memory.
MAX_QUEUED_CHUNKS = 1000
# The longest wait for a slow reader at the end of the process.
FLUSH_TIMEOUT_S = 1.0


class Writer:
    """Writes to an open file in a thread, which starts with the first bytes.

    It may be used in a signal handler, and on both sides of a fork.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Starts with an empty queue and no thread. After a fork both remain in the parent."""
        self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
        # Reentrant: a signal handler may print while its thread holds the lock.
        self._changed = threading.Condition(threading.RLock())
        self._waiting = 0
        self._lost_lines = 0
        self._runs = False

    def put(self, chunk: bytes) -> None:
        """Queues a chunk without waiting. When the queue is full, it drops the chunk and counts its lines."""
        with self._changed:
            if self._waiting >= MAX_QUEUED_CHUNKS:
                self._lost_lines += chunk.count(b"\n")
                return
            self._waiting += 1
            self._chunks.put(chunk)
            if not self._runs:
                with suppress(RuntimeError):  # the system gives no thread now; perhaps it does for the next chunk
                    start_new_thread(self._run, ())
                    self._runs = True

    def flush(self, timeout_s: float) -> None:
        """Waits until all is written, for at most `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout_s)

    def close(self) -> None:
        """Closes the file in the background, once all is written. `put` must not be called after it."""
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
        """Writes a chunk, and waits for a slow reader. Returns False when it cannot be written."""
        try:
            write_all(self._file, chunk)
        except OSError:
            return False
        return True


class Stream(io.TextIOBase):
    """A text stream over a Writer, for sys.stdout or sys.stderr. It writes each line in one piece.

    A character that the encoding lacks is written as an escape.
    """

    def __init__(self, writer: Writer, file: int, encoding: str) -> None:
        self._writer = writer
        self._file = file
        self._encoding = encoding
        # The line that each thread has begun: print writes a line in pieces, and several threads may print.
        self._begun = threading.local()

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
        """Queues the line that this thread has begun, without waiting until it is written."""
        begun, self._begun.line = getattr(self._begun, "line", ""), ""
        self._put(begun)

    def pass_along(self, chunk: bytes) -> None:
        """Queues bytes as they are."""
        self._writer.put(chunk)

    def drain(self) -> None:
        """Waits until all is written, for at most FLUSH_TIMEOUT_S."""
        self.flush()
        self._writer.flush(FLUSH_TIMEOUT_S)

    def _put(self, text: str) -> None:
        if text:
            self._writer.put(text.encode(self._encoding, "backslashreplace"))


def write_in_background() -> Stream:
    """Replaces this process's standard output and error by such streams. Returns the stream of the output."""
    open_streams()
    writer = Writer(1)
    sys.stdout = output = Stream(writer, 1, sys.stdout.encoding)
    # When both are the same terminal or file, one writer keeps their lines in order.
    sys.stderr = Stream(writer if os.path.sameopenfile(1, 2) else Writer(2), 2, sys.stderr.encoding)
    atexit.register(sys.stderr.drain)
    atexit.register(output.drain)
    return output
