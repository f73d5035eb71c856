"""Output that cannot be delivered: it neither blocks nor fails the program."""

import fcntl
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.output_thread import MAX_QUEUED_CHUNKS, Stream, Writer
from tests.support.tiers import ROOT
from tests.support.waiting import wait_until

LINE = b"x" * 99 + b"\n"
PROGRAM = "from conf.output_thread import write_in_background; write_in_background(); import os, sys, time; "


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for file in (read, write):
        os.close(file)


def read_until(file: int, end: bytes) -> bytes:
    got = b""
    coming = select.poll()
    coming.register(file, select.POLLIN)
    while not got.endswith(end):
        assert coming.poll(60_000), f"it is written up to {got[-100:]!r}"
        got += os.read(file, 65536)
    return got


def fill(writer: Writer) -> int:
    """Prints more lines than the pipe and the queue hold, and returns their number."""
    count = 65536 // len(LINE) + MAX_QUEUED_CHUNKS + 500
    for _ in range(count):
        writer.put(LINE)
    return count


def test_lines_are_written_in_order(pipe: tuple[int, int]) -> None:
    read, write = pipe
    writer = Writer(write)
    for number in range(100):
        writer.put(b"%d\n" % number)
    assert read_until(read, b"99\n").split() == [b"%d" % number for number in range(100)]


@pytest.fixture
def high_pipe(pipe: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """A pipe whose writing end has a descriptor that select() does not accept."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4_096), hard))
    read, write = pipe
    high = fcntl.fcntl(write, fcntl.F_DUPFD, 2_048)
    yield read, high
    os.close(high)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("blocking", [True, False], ids=["a pipe", "a non-blocking pipe"])
def test_lines_that_nobody_reads_are_dropped_and_counted(high_pipe: tuple[int, int], blocking: bool) -> None:
    read, write = high_pipe
    os.set_blocking(write, blocking)
    writer = Writer(write)
    count = fill(writer)
    room = select.poll()
    room.register(write, select.POLLOUT)
    wait_until("the pipe is full", lambda: not room.poll(0))
    time.sleep(0.05)  # for the writer to wait
    os.set_blocking(read, True)

    def end() -> None:
        writer.flush(30)
        writer.put(b"the end\n")

    ending = threading.Thread(target=end)
    ending.start()
    lines = read_until(read, b"the end\n").splitlines()
    ending.join()
    told = [line for line in lines if b"could not be written" in line]
    assert told[0].startswith(b"toy store: process %d dropped " % os.getpid())
    assert sum(int(line.split()[5]) for line in told) + lines.count(LINE.strip()) == count


def test_lines_lost_to_a_full_disk_are_counted_once_it_has_room(tmp_path: Path) -> None:
    file = os.open("/dev/full", os.O_WRONLY)
    room = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    try:
        writer = Writer(file)
        for _ in range(3):
            writer.put(b"lost\n")
        writer.flush(30)
        os.dup2(room, file)
        writer.put(b"kept\n")
        writer.flush(30)
    finally:
        os.close(file)
        os.close(room)
    told, kept = (tmp_path / "log").read_text().splitlines()
    assert told == f"toy store: process {os.getpid()} dropped 3 lines here that could not be written"
    assert kept == "kept"


def test_a_reader_who_has_gone_is_no_failure(pipe: tuple[int, int]) -> None:
    _, write = pipe
    read, broken = os.pipe()
    os.close(read)
    os.dup2(broken, write)
    os.close(broken)
    writer = Writer(write)
    writer.put(LINE)
    writer.flush(30)


def test_a_signal_handler_may_print_while_its_thread_prints(pipe: tuple[int, int]) -> None:
    read, write = pipe
    writer = Writer(write)
    before = signal.signal(signal.SIGALRM, lambda *_: writer.put(b"handler\n"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            writer.put(b"")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        writer.flush(30)
    assert b"handler\n" in os.read(read, 65536)


def test_lines_of_several_threads_are_not_mixed(pipe: tuple[int, int]) -> None:
    read, write = pipe
    stream = Stream(Writer(write), write, "utf-8")

    def print_lines(text: str) -> None:
        for _ in range(100):
            print(text, text, file=stream)

    printing = [threading.Thread(target=print_lines, args=(text,)) for text in ("one", "other")]
    for thread in printing:
        thread.start()
    for thread in printing:
        thread.join()
    print("end", file=stream)
    lines = read_until(read, b"end\n").splitlines()
    assert sorted(lines) == sorted([b"one one"] * 100 + [b"other other"] * 100 + [b"end"])


def test_a_character_that_the_encoding_lacks_is_escaped(pipe: tuple[int, int]) -> None:
    read, write = pipe
    print("Bär \udce4", file=Stream(Writer(write), write, "ascii"))
    assert read_until(read, b"\n") == b"B\\xe4r \\udce4\n"


def run(program: str, redirect: str = "") -> "subprocess.CompletedProcess[str]":
    command = f'exec "$0" -c "$1" {redirect}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, PROGRAM + program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_all_output_is_written_before_the_exit() -> None:
    ended = run("print('one'); print('half', end=''); print('error', file=sys.stderr); sys.exit(3)")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "one\nhalf", "error\n")


def test_output_and_error_in_one_file_keep_their_order() -> None:
    ended = run("[print(n, file=(sys.stdout, sys.stderr)[n % 2]) for n in range(100)]", "2>&1")
    assert ended.stdout.split() == [str(number) for number in range(100)]


def test_both_sides_of_a_fork_write_their_lines_once() -> None:
    ended = run("print('both'); pid = os.fork(); print('parent' if pid else 'child'); pid and os.wait()")
    assert sorted(ended.stdout.split()) == ["both", "child", "parent"]


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&- <&-", "> /dev/full", "2> /dev/full", "> /dev/full 2>&1"])
def test_output_that_cannot_be_written_changes_no_exit_code(redirect: str) -> None:
    ended = run("print('x'); print('y', file=sys.stderr); sys.stdout.flush(); sys.exit(3)", redirect)
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr


def test_no_file_gets_the_descriptor_of_a_closed_stream() -> None:
    ended = run("sys.exit(os.open('/dev/null', os.O_RDONLY))", "<&- >&- 2>&-")
    assert ended.returncode > 2


def test_the_exit_does_not_wait_for_a_reader_who_sleeps(pipe: tuple[int, int]) -> None:
    _, write = pipe
    program = PROGRAM + "[print('x' * 100) for _ in range(5000)]"
    ended = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=write, stderr=write)
    wait_until("it ends", lambda: ended.poll() is not None, timeout_s=30)
    assert ended.returncode == 0
