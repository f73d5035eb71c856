"""What the command lines of the programs share."""

import argparse
from collections.abc import Callable
from typing import TypeVar

from conf.settings import SettingsError
from domain.errors import Invalid

T = TypeVar("T")


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """The parser for argparse, which wants its own error to show a message."""

    def parse_argument(text: str) -> T:
        try:
            return parse(text)
        except (Invalid, SettingsError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_argument
