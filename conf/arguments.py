"""The parts of a command line that the programs of owner and shopper share: errors, and arguments as typed."""

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

from conf.output import print_json, visible
from conf.paths import parse_folder
from conf.variables import SettingsError
from domain.errors import Invalid

T = TypeVar("T")


class WrongUsage(Exception):
    """The parser rejects the command line; the message says why."""

    def __init__(self, parser: "Parser", message: str) -> None:
        super().__init__(message)
        self.parser = parser


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that reports wrong usage as JSON, too, on stdout, when --json was given."""

    @contextmanager
    def reporting_wrong_usage(self, arguments: list[str]) -> Iterator[None]:
        """Ends the program with exit code 2 when the block, which parses these arguments, rejects them."""
        try:
            yield
        except WrongUsage as wrong:
            if "--json" in arguments:
                print_json({"error": str(wrong)})
            argparse.ArgumentParser.error(wrong.parser, visible(str(wrong)))

    def error(self, message: str) -> NoReturn:
        """Raises WrongUsage, where argparse would end the program."""
        raise WrongUsage(self, message)


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Wraps a parser for argparse, which shows the message of an error only when it is an ArgumentTypeError."""

    def parse_argument(text: str) -> T:
        try:
            return parse(as_typed(text))
        except (Invalid, SettingsError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_argument


def folder(text: str) -> Path:
    """Parses a folder on the command line, for argparse."""
    try:
        return parse_folder(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def as_typed(text: str) -> str:
    """Returns the text as a terminal sent it. Raises Invalid when it is not UTF-8.

    Python decodes arguments and input by the encoding of the locale, which may differ from that of the terminal.
    """
    if not any("\udc80" <= character <= "\udcff" for character in text):
        return text
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        raise Invalid(f"{text!r} is not UTF-8") from None
