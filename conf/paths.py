"""Parses the paths in settings and on command lines."""

import os
from pathlib import Path


def parse_path(text: str) -> Path:
    """Parses a path and expands a `~` at its start, as a shell does. Raises ValueError."""
    if "\0" in text:
        raise ValueError("has a NUL")
    path = os.path.expanduser(text)
    if text.startswith("~") and path == text:
        raise ValueError("begins with the home of nobody known; put ./ before a name that does begin with ~")
    return Path(path)


def parse_folder(text: str) -> Path:
    """Parses the path of a folder with databases. Raises ValueError when it is not UTF-8, which SQLite needs."""
    path = parse_path(text)
    try:
        opened = os.fsencode(path).decode("utf-8")
    except UnicodeError:
        opened = None
    if opened != str(path):
        raise ValueError("is not UTF-8, and SQLite opens no other names: rename the folder, or reach it by a link")
    return path
