"""Reads single variables of an environment: a reader for each kind of value, which names the variable in its error.

An empty variable counts as not set, except that of a secret.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from conf.addresses import Address, is_host_name, parse_address
from conf.paths import parse_path
from conf.secret import Secrets, parse_secrets

T = TypeVar("T")


class SettingsError(ValueError):
    """A setting is invalid; the message names it."""


def read_value(variable: str, environ: Mapping[str, str], default: str, parse: Callable[[str], T]) -> T:
    """Returns the parsed value of a variable. Raises SettingsError, as all readers do."""
    text = environ.get(variable) or default
    try:
        return parse(text)
    except ValueError as error:
        raise SettingsError(f"{variable}={text!r} {error}") from None


def read_count(variable: str, environ: Mapping[str, str], default: int, most: int) -> int:
    """Returns a whole number from 1 to `most`."""
    text = environ.get(variable) or str(default)
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= most:
        raise SettingsError(f"{variable}={text!r} is not a whole number from 1 to {most}")
    return int(text)


def read_switch(variable: str, environ: Mapping[str, str]) -> bool:
    """Returns whether a variable is 1. It may be 0, too."""
    text = environ.get(variable) or "0"
    if text not in ("0", "1"):
        raise SettingsError(f"{variable}={text!r} is neither 0 nor 1")
    return text == "1"


def read_choice(variable: str, environ: Mapping[str, str], choices: Sequence[str]) -> str:
    """Returns one of the choices. The first is the default."""
    text = environ.get(variable) or choices[0]
    if text not in choices:
        raise SettingsError(f"{variable}={text!r} is not one of: {', '.join(choices)}")
    return text


def read_address(variable: str, text: str, default_port: int, *, https: bool = False) -> Address:
    """Returns the address in the text of a variable. Raises SettingsError."""
    try:
        return parse_address(text, default_port, https=https)
    except ValueError as error:
        raise SettingsError(f"{variable}={error}") from None


def read_addresses(variable: str, text: str, default_port: int) -> tuple[Address, ...]:
    """Returns the addresses, with commas between them, in the text of a variable. None of them may come twice."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1:
        return (read_address(variable, text, default_port),)
    try:
        addresses = [parse_address(part, default_port, https=False) for part in parts]
    except ValueError as error:
        raise SettingsError(f"{variable}={text!r}: {error}") from None
    for address in addresses:
        if addresses.count(address) > 1:
            raise SettingsError(f"{variable}={text!r} has {address} twice")
    return tuple(addresses)


def read_hosts(variable: str, environ: Mapping[str, str]) -> frozenset[str]:
    """Returns the host names in a variable, with commas between them, in lower case."""
    names = [name.strip().lower() for name in environ[variable].split(",")] if environ.get(variable) else []
    for name in names:
        if not is_host_name(name):
            raise SettingsError(f"{variable}={environ[variable]!r}: {name!r} is not a host's name, without a port")
    return frozenset(names)


def read_secrets(variable: str, environ: Mapping[str, str]) -> Secrets | None:
    """Returns the secrets in a variable, or in the file of `variable`_FILE; None when there are none.

    An empty one is an error: its owner has wanted protection.
    """
    of_file = f"{variable}_FILE"
    text, file = environ.get(variable), environ.get(of_file)
    if text is not None and file is not None:
        raise SettingsError(f"{variable} and {of_file} are both set; one of them is enough")
    if file == "":
        raise SettingsError(f"{of_file} is empty; set it to the name of a file, or unset it")
    if file is not None:
        text = _read_secret(of_file, file)
    if text is None:
        return None
    try:
        return parse_secrets(text)
    except ValueError as error:
        raise SettingsError(f"{variable if file is None else of_file} {error}") from None


def read_database_address(variable: str, environ: Mapping[str, str]) -> str | None:
    """Returns the address in a variable, or in the file of `variable`_FILE; None for SQLite's file in DATA_DIR.

    It may have a password, so no error shows it.
    """
    of_file = f"{variable}_FILE"
    text, file = environ.get(variable), environ.get(of_file)
    if text and file:
        raise SettingsError(f"{variable} and {of_file} are both set; one of them is enough")
    if file:
        text = _read_secret(of_file, file).strip()
    elif not text:
        return None
    if not text.startswith(("postgresql://", "postgres://")):
        raise SettingsError(f"{of_file if file else variable} is no address such as postgresql://user@host/database")
    return text


def _read_secret(variable: str, file: str) -> str:
    try:
        return parse_path(file).read_text("utf-8")
    except UnicodeDecodeError:  # its own message would show some of the secret
        why = "it is not text"
    except OSError as error:
        why = str(error.strerror)
    except ValueError as error:
        why = f"it {error}"
    raise SettingsError(f"{variable}={file!r} cannot be read: {why}")


def refuse_misspelt(prefix: str, known: list[str], environ: Mapping[str, str]) -> None:
    """Raises SettingsError for a variable such as CATALOG_WORKER. CATALOG_PORT may be another program's."""
    for variable in environ:
        suffix = variable.removeprefix(f"{prefix}_")
        if suffix != variable and suffix not in known and (close := difflib.get_close_matches(suffix, known, 1, 0.65)):
            raise SettingsError(f"{variable} is not a setting; did you mean {prefix}_{close[0]}?")
