"""The standard streams of the programs: printing never raises an error, and lost output is reported."""

import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conf.output import one_line, print_json, visible
from tests.support.tiers import ROOT

PRELUDE = "import sys; from conf.output import *; open_streams(); "
PRINT_LOSS = "; lost = lost_output(); sys.stderr.write(type(lost).__name__)"


def run(code: str, redirections: str = "", before: str = "", **variables: str) -> "subprocess.CompletedProcess[bytes]":
    """Runs Python code after open_streams(), by a shell that redirects its streams."""
    command = f'{before} "$0" -c "$1" {redirections}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, PRELUDE + code],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("redirections", "lost"),
    [
        ("", b"NoneType"),
        (">/dev/null", b"NoneType"),
        (">&-", b"NoneType"),  # closed on purpose: nothing is lost
        ("<&- >&-", b"NoneType"),
        (">/dev/full", b"OSError"),
        ("1</dev/null", b"OSError"),
    ],
)
def test_printing_never_fails_and_lost_output_is_reported(redirections: str, lost: bytes) -> None:
    ended = run("print('x' * 100_000)" + PRINT_LOSS, redirections)
    assert (ended.returncode, ended.stderr) == (0, lost)


def test_output_to_a_reader_that_has_gone_is_lost() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = PRELUDE + "print('x')" + PRINT_LOSS
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"BrokenPipeError")


@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_an_error_that_nobody_can_read_changes_no_exit_code(redirections: str) -> None:
    assert run("print('x', file=sys.stderr); sys.exit(7)", redirections).returncode == 7


def test_no_file_gets_the_descriptor_of_a_closed_stream(tmp_path: Path) -> None:
    """Otherwise the output could go into a database."""
    file = tmp_path / "file"
    code = f"file = open({str(file)!r}, 'w'); print('printed'); sys.stdout.flush(); sys.exit(file.fileno() > 2)"
    assert run(code, "<&- >&- 2>&-").returncode == 1
    assert file.read_bytes() == b""


def test_a_closed_stdin_is_empty() -> None:
    assert run("sys.exit(7 if sys.stdin.read() == '' else 0)", "<&-").returncode == 7


def test_a_stdin_that_is_not_utf_8_can_be_read() -> None:
    ended = run("print(ascii(input()))", before=r"printf 'b\344r\n' |", PYTHONUTF8="1")
    assert (ended.stdout, ended.stderr) == (b"'b\\udce4r'\n", b"")


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("ascii", b"B\\xe4r \\u2713\n"), ("latin-1", b"B\xe4r \\u2713\n"), ("utf-8", "B\u00e4r \u2713\n".encode())],
)
def test_a_character_that_the_encoding_lacks_is_escaped(encoding: str, printed: bytes) -> None:
    ended = run("print('B\\u00e4r \\u2713')", PYTHONIOENCODING=encoding)
    assert (ended.stdout, ended.stderr) == (printed, b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_valid_in_every_encoding(encoding: str) -> None:
    ended = run("print_json({'name': 'B\\u00e4r \\u2713 \\udce4'})", PYTHONIOENCODING=encoding)
    assert json.loads(ended.stdout.decode(encoding)) == {"name": "B\u00e4r \u2713 \udce4"}


def test_printing_waits_for_a_full_non_blocking_pipe() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    code = PRELUDE + "print('x' * 1_000_000)" + PRINT_LOSS
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    received = bytearray()

    def read() -> None:
        while chunk := os.read(reading, 65_536):
            received.extend(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    _, errors = process.communicate(timeout=60)
    reader.join()
    os.close(reading)
    assert (errors, len(received)) == (b"NoneType", 1_000_001)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("B\u00e4r [/admin] :smile:", "B\u00e4r [/admin] :smile:"),
        ("\x1b]0;owned\x07\x1b[2J", r"\x1b]0;owned\x07\x1b[2J"),
        ("a\r\nb\tc\x7f", r"a\x0d\x0ab\x09c\x7f"),
        ("\x9b2J\x9d0;\x90", r"\x9b2J\x9d0;\x90"),
        ("\u202exuT\u2066\u200f\u061c", r"\u202exuT\u2066\u200f\u061c"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("T\u200bux\ufeff\u00ad", r"T\u200bux\ufeff\xad"),
        ("b\udce4r", r"b\udce4r"),
        ("\U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e", "\U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e"),
    ],
    ids=ascii,
)
def test_foreign_text_cannot_control_a_terminal(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert visible(text) == shown
    print_json([text])
    printed = capsys.readouterr().out
    assert json.loads(printed) == [text]
    assert all(visible(line) == line for line in printed.splitlines())


def test_a_line_is_short_and_escaped() -> None:
    assert one_line("\x1b[31mred\nnext\u202e") == "\\x1b[31mred\\x0anext\\u202e"
    assert one_line("Bär") == "Bär"
    assert one_line("x" * 201) == "x" * 200 + "... (201 characters)"
