"""The client's options, from flags, from the environment variable p, and from answers to prompts."""

import json
import shlex

import pytest

from client.options import Options, from_command_line
from client.questions import SHOWN_PRODUCTS
from conf.version import __version__
from domain.values import Product


def parse(*arguments: str, p: float | None = None) -> Options:
    """Parses a command line. `p` is the value of the environment variable p. The store has no products."""
    return from_command_line(list(arguments), default_p=lambda: p, products=lambda _patience_s: [])


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


def test_the_patience_is_a_flag_whose_default_is_the_setting() -> None:
    def patience_s(*arguments: str) -> int:
        options = from_command_line(list(arguments), lambda: None, lambda _patience_s: [], default_patience_s=30)
        return options.patience_s

    assert patience_s("--mode", "2", "--product", "Tux") == 30
    assert patience_s("--mode", "2", "--product", "Tux", "--patience", "7") == 7
    assert parse("--mode", "2", "--product", "Tux").patience_s == 10


def test_the_prompts_ask_the_store_with_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def products(patience_s: int) -> list[Product]:
        asked.append(patience_s)
        return [Product("Tux", 100, 1)]

    answers = iter(["2", "Tux", "1"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(answers))
    options = from_command_line(["--patience", "7"], lambda: None, products)
    assert (asked, options.patience_s) == ([7], 7)


def test_json_without_a_mode_is_refused_before_any_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse("--json")
    printed = capsys.readouterr()
    assert "--json needs --mode" in json.loads(printed.out)["error"]
    assert "--json needs --mode" in printed.err


def test_without_a_mode_it_prompts_until_the_answers_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["7", "1", "2", "0.5", "none", "3"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(answers))
    options = parse("--clients", "2")
    assert (options.mode, options.p, options.count, options.clients) == (1, 0.5, 3, 2)


def menu(monkeypatch: pytest.MonkeyPatch, products: int, *answers: str) -> Options:
    """Answers the prompts of a client whose store has this many products."""
    prompted = iter(answers)

    def answer(prompt: str) -> str:
        print(prompt)
        return next(prompted)

    monkeypatch.setattr("builtins.input", answer)
    listed = [Product(f"toy-{number:02}", 2599, number) for number in range(products)]
    return from_command_line([], default_p=lambda: None, products=lambda _patience_s: iter(listed))


def test_the_menu_shows_name_price_and_stock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    menu(monkeypatch, 2, "3", "toy-01", "2", "1")
    assert capsys.readouterr().out.startswith("  toy-00: 25.99, out of stock\n  toy-01: 25.99, 1 in stock\n1  query")


def test_the_menu_shows_many_products_by_pages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = menu(monkeypatch, SHOWN_PRODUCTS * 2 + 1, "2", "", "", "", "toy-40", "1")
    assert options.product == "toy-40"
    first, *pages, last = capsys.readouterr().out.split("Product: \n")
    assert [first.count("  toy-"), *(page.count("  toy-") for page in pages)] == [SHOWN_PRODUCTS, SHOWN_PRODUCTS, 1, 0]
    assert ["and more" in page for page in (first, *pages)] == [True, True, False, False]
    assert pages[-1] == "  the product name is empty\n", "an empty answer after the last page"
    assert "toy-" not in last


def test_the_menu_of_an_empty_store_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    menu(monkeypatch, 0, "2", "Tux", "1")
    assert capsys.readouterr().out.startswith("The store has no products.\n")
