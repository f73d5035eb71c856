"""The client's options, from flags, from the environment variable p, and from answers to prompts."""

import json
import shlex

import pytest

from client.options import Options, from_command_line
from conf.version import __version__


def parse(*arguments: str, p: float | None = None) -> Options:
    """Parses a command line. `p` is the value of the environment variable p. The store has no products."""
    return from_command_line(list(arguments), default_p=lambda: p, products=lambda: [])


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--version")
    assert ended.value.code == 0
    assert capsys.readouterr() == (f"toystore {__version__}\n", "")


def test_flags_set_the_options() -> None:
    options = parse(*shlex.split("--mode 3 --product Tux --quantity 2 --count 9 --clients 3 --seed 1"))
    assert (options.mode, options.product, options.quantity, options.count) == (3, "Tux", 2, 9)
    assert (options.clients, options.seed, options.json) == (3, 1, False)


def test_the_variable_p_is_the_default_of_the_flag() -> None:
    assert parse("--mode", "1", p=0.25).p == 0.25
    assert parse("--mode", "1", "--p", "0", p=0.25).p == 0.0


def test_json_without_a_mode_is_refused_before_any_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse("--json")
    printed = capsys.readouterr()
    assert "--json needs --mode" in json.loads(printed.out)["error"]
    assert "--json needs --mode" in printed.err


def test_without_a_mode_it_prompts_until_the_answers_are_valid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter(["7", "1", "2", "0.5", "none", "3"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(answers))
    options = parse("--clients", "2")
    assert (options.mode, options.p, options.count, options.clients) == (1, 0.5, 3, 2)
