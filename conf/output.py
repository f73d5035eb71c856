"""The standard streams of a program, and text of others as it may be printed there.

A report that cannot be delivered is not a failure of the work: what is closed, full, without a reader or not UTF-8
raises nothing while a program works. The loss is kept, and the program asks for it at its end.
"""

import errno
import io
import json
import os
import re
import select
import sys
import unicodedata
from typing import Any, TextIO

# Python's names for how to write what an encoding lacks, and how to read what is none.
_WRITE_ERRORS, _READ_ERRORS = "backslashreplace", "surrogateescape"

# Joiners and tags are parts of words and emoji, and do nothing to a terminal.
_HARMLESS = frozenset("\u200c\u200d") | {chr(code) for code in range(0xE0020, 0xE0080)}
_NOT_SHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_NOT_PLAIN = re.compile(r"[^\n\x20-\x7e]")


class _Delivery(io.RawIOBase):
    """A file descriptor that takes all that is written. `lost` is why some of it was not delivered."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.lost: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        chunk = memoryview(data).cast("B")
        if self.lost is None:
            try:
                write_all(self._descriptor, chunk)
            except OSError as error:
                self.lost = error
        return len(chunk)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of it, for as long as the reader lets this wait. Raises OSError: a full disk, a reader who has gone."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another program has made the terminal or the pipe non-blocking, for all who have it
            room = select.poll()  # select() takes no descriptor above 1,023, of which a worker may have more
            room.register(descriptor, select.POLLOUT)
            room.poll()


def open_streams() -> None:
    """Make sys.stdin, sys.stdout and sys.stderr such that reading and printing raise no OSError or UnicodeError."""
    for descriptor, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file to be opened, a database say, would be the standard output. The lowest number is free.
            os.open(os.devnull, mode)
    sys.stdin = _readable(sys.stdin)
    sys.stdout, sys.stderr = _deliverable(sys.stdout, 1), _deliverable(sys.stderr, 2)


def _readable(stream: Any) -> io.TextIOWrapper:
    if stream is None:  # it was closed
        return open(0, errors=_READ_ERRORS, closefd=False)
    stream.reconfigure(errors=_READ_ERRORS)
    return stream  # type: ignore[no-any-return]


def _deliverable(stream: TextIO | None, descriptor: int) -> io.TextIOWrapper:
    delivery = _Delivery(descriptor)
    buffer = io.BufferedWriter(delivery)
    encoding = stream.encoding if stream else "utf-8"
    line_by_line = descriptor == 2 or delivery.isatty()
    return io.TextIOWrapper(buffer, encoding, _WRITE_ERRORS, line_buffering=line_by_line)


def lost_output() -> OSError | None:
    """The error that kept some of stdout from being delivered; None when all was, and without `open_streams`."""
    sys.stdout.flush()
    delivery = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return delivery.lost if isinstance(delivery, _Delivery) else None


def exit_code(work: int, of_a_lost_report: int | None, program: str) -> int:
    """The exit code of a program whose work came to `work`; that its report was lost is told on stderr.

    `of_a_lost_report` is the code where the report is all of the work, None where the work was done without it. A
    reader who goes has seen enough, and is told nothing of a report that is all of the work.
    """
    lost = lost_output()
    if lost is None:
        return work
    if of_a_lost_report is None:
        print(f"{program}: no report ({lost.strerror}); the exit code tells how the work ended", file=sys.stderr)
        return work
    if lost.errno == errno.EPIPE:
        return work or 1
    print(f"{program}: {lost}", file=sys.stderr)
    return work or of_a_lost_report


def visible(text: str) -> str:
    """The text with each character escaped that would speak to a terminal, turn the line around, or not be seen."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in _HARMLESS or unicodedata.category(character) not in _NOT_SHOWN
        else character.encode("ascii", _WRITE_ERRORS).decode()
        if ord(character) > 0x7F
        else f"\\x{ord(character):02x}"
        for character in text
    )


def one_line(text: str, max_characters: int = 200) -> str:
    """The text, cut to a length, as `visible` shows it."""
    if len(text) > max_characters:
        text = f"{text[:max_characters]}... ({len(text)} characters)"
    return visible(text)


def print_failure(speaker: str, why: str, *, as_json: bool) -> None:
    """Tell people in a line on stderr, and scripts as JSON on stdout as well."""
    if as_json:
        print_json({"error": why})
    print(f"{speaker}: {visible(why)}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print the value as JSON that is valid in any encoding, and in which nothing speaks to a terminal."""
    text = json.dumps(value, ensure_ascii=not _is_utf_8(sys.stdout), indent=2)
    print(_NOT_PLAIN.sub(lambda match: match[0] if visible(match[0]) == match[0] else _json_escape(match[0]), text))


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def _is_utf_8(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
