"""Keeps a tier's log short and harmless: bounded lines, a bounded rate for each kind, escaped control characters.

Strangers cause lines by malformed requests, and choose their words.
"""

import atexit
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from gunicorn.glogging import Logger

from conf.output import one_line
from conf.output_thread import Stream, Writer
from domain.token_bucket import TokenBucket

FORMAT = "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s"

# gunicorn's messages may quote a stranger: the head of a request has up to 32 KiB.
GUNICORN_MAX_CHARACTERS = 200
# The store's messages may name files.
STORE_MAX_CHARACTERS = 1000
# The last lines of a traceback say the most, so the first ones are left out.
MAX_TRACEBACK_LINES = 60

# The rate for each kind, in the long run: a stranger causes less than 100 MB a day.
LINES_PER_S = 1.0
# The burst of each kind, after a calm time. Strangers cause the lines of gunicorn, so their burst is shorter.
GUNICORN_BURST_LINES = 5
STORE_BURST_LINES = 20
# The delay from the first line that is left out to the line with their number.
COUNT_DELAY_S = 1.0


class LineFormatter(logging.Formatter):
    """Formats a message, and each line of a traceback, as one short line."""

    def __init__(self, fmt: str, datefmt: str | None, max_characters: int) -> None:
        super().__init__(fmt, datefmt)
        self._max_characters = max_characters

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = one_line(record.message, self._max_characters)
        return super().formatMessage(record)

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        lines = super().formatException(ei).splitlines()
        return "\n".join(one_line(line) for line in lines[-MAX_TRACEBACK_LINES:])


@dataclass(slots=True)
class LinesOfAKind:
    """The state of one kind of lines."""

    bucket: TokenBucket  # the lines that may be written
    last: logging.LogRecord  # the last one that was left out
    left_out: int = 0  # since the last count
    has_timer: bool = False  # whether a timer will log the count


class FloodFilter(logging.Filter):
    """Leaves out lines that come too fast, and logs their number. A kind is the place in the code that logs a line."""

    def __init__(self, burst_lines: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._burst_lines = burst_lines
        self._clock = clock
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # Reentrant: a signal handler may log while its thread holds the lock.
        self._lock = threading.RLock()
        self._kinds: dict[tuple[str, int], LinesOfAKind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is written."""
        if hasattr(record, "left_out"):
            return True  # it is the count
        place = (record.pathname, record.lineno)
        with self._lock:
            lines = self._kinds.get(place)
            if lines is None:
                bucket = TokenBucket(LINES_PER_S, self._burst_lines, self._clock)
                lines = self._kinds[place] = LinesOfAKind(bucket, record)
            if lines.bucket.try_take():
                return True
            lines.last = record
            lines.left_out += 1
            if not lines.has_timer:
                lines.has_timer = self._log_counts_later()
        return False

    def _log_counts_later(self) -> bool:
        """Starts the timer of the next counts. Returns False when it cannot."""
        timer = threading.Timer(COUNT_DELAY_S, self.log_counts)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # the system gives no thread now
            return False
        return True

    def log_counts(self) -> None:
        """Logs how many lines of each kind were left out since the last call."""
        with self._lock:
            counts = [(lines.left_out, lines.last) for lines in self._kinds.values() if lines.left_out]
            for lines in self._kinds.values():
                lines.left_out, lines.has_timer = 0, False
        for left_out, record in counts:
            logging.getLogger(record.name).log(
                record.levelno,
                "%d more lines like this one were left out: %s",
                left_out,
                record.getMessage(),
                extra={"left_out": left_out},
            )


_gunicorn_filter = FloodFilter(GUNICORN_BURST_LINES)
_store_filter = FloodFilter(STORE_BURST_LINES)


class LogFile(logging.FileHandler):
    """A log file, written in a thread: a pipe that nobody reads, or a lost disk, blocks no thread that logs."""

    def _open(self) -> Any:
        file = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._writer = Writer(file)
        stream = Stream(self._writer, file, "utf-8")
        atexit.register(stream.drain)
        return stream

    def close(self) -> None:
        """Closes the file. gunicorn opens it again on SIGUSR1, after it was renamed."""
        if self.stream is not None:
            super().close()
            self._writer.close()


class TierLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger with the store's formatter and filter. The access log, which is optional, is not filtered."""

    def _set_handler(self, log: Any, output: Any, fmt: Any, stream: Any = None) -> None:
        max_characters = GUNICORN_MAX_CHARACTERS if log is self.error_log else STORE_MAX_CHARACTERS
        super()._set_handler(log, output, LineFormatter(fmt._fmt, fmt.datefmt, max_characters), stream)
        handler = self._get_gunicorn_handler(log)
        if isinstance(handler, logging.FileHandler):
            log.removeHandler(handler)
            handler.close()
            file = LogFile(handler.baseFilename)
            file.setFormatter(handler.formatter)
            file._gunicorn = True  # type: ignore[attr-defined]
            log.addHandler(file)
            handler = file
        if handler is not None and log is self.error_log:
            handler.addFilter(_gunicorn_filter)
            _log_counts_at_exit(_gunicorn_filter)


class DeskLogger(TierLogger):
    """The logger of the back office. No line of gunicorn, as of its optional access log, has the token of a login."""

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        return {name: _hide_token(value) for name, value in atoms.items()}

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        super().exception(msg, *map(_hide_token, args), **kwargs)


def _hide_token(value: Any) -> Any:
    return re.sub(r"\btoken=[^&#\s\"]+", "token=...", value) if isinstance(value, str) else value


def _log_counts_at_exit(flood_filter: FloodFilter) -> None:
    """Logs the last counts at the exit. atexit calls the last function first: before the streams are drained."""
    atexit.unregister(flood_filter.log_counts)
    atexit.register(flood_filter.log_counts)


def log_to_stderr() -> None:
    """Makes this process's loggers write to the current sys.stderr, from level INFO."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(FORMAT, None, STORE_MAX_CHARACTERS))
    handler.addFilter(_store_filter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    _log_counts_at_exit(_store_filter)
    # A line that cannot be written is not a failure, and no reason to write a traceback instead.
    logging.raiseExceptions = False
