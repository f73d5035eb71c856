"""Makes the standard streams of a program safe to print to, and foreign text safe to print.

Output that cannot be delivered is not a failure of the work: a stream that is closed, full, without a reader or not
UTF-8 raises nothing while a program works. `lost_output` and `exit_code` report the loss at the end.
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

# Python's error handlers: for characters that the encoding lacks, and for bytes that are not of the encoding.
_WRITE_ERRORS, _READ_ERRORS = "backslashreplace", "surrogateescape"

# Joiners and tags are parts of words and emoji, and do nothing to a terminal.
_HARMLESS = frozenset("\u200c\u200d") | {chr(code) for code in range(0xE0020, 0xE0080)}
# The width of a table without a terminal: rows in a pipe or a file are not wrapped, so grep finds them.
UNLIMITED_WIDTH = 10_000

# Unicode's categories: controls, formats, surrogates, line and paragraph separators.
_NOT_SHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_NOT_PLAIN = re.compile(r"[^\n\x20-\x7e]")


class _TolerantFile(io.RawIOBase):
    """A file descriptor that accepts every write. After an error, which it keeps in `lost`, it drops all output."""

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
    """Writes all of the data, and waits for a slow reader. Raises OSError: a full disk, a reader who has gone."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another program that shares the terminal or pipe has made it non-blocking
            room = select.poll()  # select() accepts no descriptor above 1,023, and a worker may have more
            room.register(descriptor, select.POLLOUT)
            room.poll()


def open_streams() -> None:
    """Replaces sys.stdin, sys.stdout and sys.stderr by streams that raise no OSError or UnicodeError."""
    for descriptor, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # Otherwise the next file to be opened, such as a database, would be the standard output. open() takes the
            # lowest free number, which is this one.
            os.open(os.devnull, mode)
    sys.stdin = _tolerant_input(sys.stdin)
    sys.stdout, sys.stderr = _tolerant_output(sys.stdout, 1), _tolerant_output(sys.stderr, 2)


def _tolerant_input(stream: Any) -> io.TextIOWrapper:
    if stream is None:  # it was closed
        return open(0, errors=_READ_ERRORS, closefd=False)
    stream.reconfigure(errors=_READ_ERRORS)
    return stream  # type: ignore[no-any-return]


def _tolerant_output(stream: TextIO | None, descriptor: int) -> io.TextIOWrapper:
    file = _TolerantFile(descriptor)
    buffer = io.BufferedWriter(file)
    encoding = stream.encoding if stream else "utf-8"
    line_by_line = descriptor == 2 or file.isatty()
    return io.TextIOWrapper(buffer, encoding, _WRITE_ERRORS, line_buffering=line_by_line)


def lost_output() -> OSError | None:
    """Returns the error that lost some of the standard output; None if nothing was lost, or without `open_streams`."""
    sys.stdout.flush()
    file = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return file.lost if isinstance(file, _TolerantFile) else None


def exit_code(work: int, of_a_lost_report: int | None, program: str) -> int:
    """Returns the exit code of a program whose work ended with the code `work`. Prints the error of a lost report.

    `of_a_lost_report` is the code of a program whose report is all of its work; None for other programs. A reader who
    closes the pipe has seen enough, so such a program then prints no error.
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
    """Escapes each character that would control a terminal, change the direction of the line, or be invisible."""
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
    """Returns the text, cut to a length and escaped by `visible`."""
    if len(text) > max_characters:
        text = f"{text[:max_characters]}... ({len(text)} characters)"
    return visible(text)


def print_failure(speaker: str, why: str, *, as_json: bool) -> None:
    """Prints a failure on stderr for people, and with `as_json` on stdout for scripts."""
    if as_json:
        print_json({"error": why})
    print(f"{speaker}: {visible(why)}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Prints the value as JSON that is valid in the stream's encoding, without characters that control a terminal."""
    print(encode_json(value, indent=2))


def encode_json(value: Any, indent: int | None = None) -> str:
    """Returns the JSON of `print_json`, by default in one line."""
    text = json.dumps(value, ensure_ascii=not _is_utf_8(sys.stdout), indent=indent)
    return _NOT_PLAIN.sub(lambda match: match[0] if visible(match[0]) == match[0] else _json_escape(match[0]), text)


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def _is_utf_8(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
