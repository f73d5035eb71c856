"""The command line of the owner's program: its errors and its help."""

from pathlib import Path

import apsw
import pytest

from admin.program import COMMANDS, main
from conf.version import __version__
from tests.support.books import Books


def test_the_versions_of_store_and_sqlite_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr() == (f"toystore {__version__}, SQLite {apsw.sqlite_lib_version()}\n", "")


@pytest.mark.parametrize("note", ["", " ", "\u200b", "a\nb", "\x1b[2J", "\udce4", "x" * 501])
def test_an_unreadable_note_is_wrong_usage(capsys: pytest.CaptureFixture[str], note: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["writeoff", "Tux", "1", "--note", note])
    assert ended.value.code == 2
    assert "argument --note: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("writeoff", "Tux", "1"), ("correct", "Tux", "1"), ("accept", "0123456789ab")])
def test_writeoff_correct_and_accept_require_a_note(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    assert "the following arguments are required: --note" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("restock", "Tux", "0"), "the quantity '0' is not a whole number from 1 to"),
        (("restock", "Tux", "-5"), "the quantity '-5' is not a whole number from 1 to"),
        (("restock", "Tux", "1000000001"), "the quantity '1000000001' is not a whole number from 1 to"),
        (("writeoff", "Tux", "0", "--note", "x"), "the quantity '0' is not a whole number from 1 to"),
        (("correct", "Tux", "-1", "--note", "x"), "the quantity '-1' is not a whole number from 0 to"),
        (("add", "Cat", "1", "-5"), "the quantity '-5' is not a whole number from 0 to"),
        (("price", "Tux", "1.999"), "the price '1.999' has more than 2 digits after the point"),
        (("price", "Tux", "-1"), "the price '-1' is below 0"),
        (("add", " Cat", "1", "1"), "the product name ' Cat' begins or ends with a blank"),
        (("price", "Tux", "1,5"), "the price '1,5' is not a number such as 25.99"),
        (("add", "a/b", "1", "1"), "the product name has a '/'"),
        (("retire", "Tux", "--key", "a b"), "the key is not 1 to 128 visible ASCII"),
        (("restock", "Tux", "1", "--key", "a,b"), "visible ASCII characters without a comma"),
        (("restock", "Tux", "1", "--key", ""), "the key is empty"),
        (("return", "first"), "the number 'first' is not a whole number in ASCII digits"),
        (("return", "-1"), "the number '-1' is not a whole number in ASCII digits"),
        (("return", "1", "0"), "the quantity is below 1"),
        (("return", "1", "--note", ""), "the note is empty"),
        (("return", "1", "--key", "a b"), "the key is not 1 to 128 visible ASCII"),
        (("melt",), "invalid choice: 'melt'"),
        ((), "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_usage_exits_with_2_and_changes_nothing(
    store: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    before = Books.read(store)
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    assert Books.read(store) == before
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_each_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*([command] if command else []), "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: python -m admin {command}".rstrip())
    assert "exit code: 0 done" in out
    assert max(len(line) for line in out.splitlines()) <= 120
