"""Starts tiers with patched constants, such as longer deadlines, so that a slow machine fails no test."""

import importlib
from collections.abc import Mapping
from pathlib import Path

from conf.settings import TIERS

# Deadlines of the front end and the order tier that leave a busy machine the time to restart a tier.
LONG_DEADLINES = {"wsgi_apps__front_end__DEADLINE_S": 60.0, "wsgi_apps__order__DEADLINE_S": 30.0}


def gunicorn_files(folder: Path, **constants: float) -> dict[str, str]:
    """Writes a gunicorn settings file for each tier that changes these constants, and returns the files by tier.

    A constant is named by its module and itself, with two underscores for a dot: server__worker__REQUEST_TIMEOUT_S=60.0
    """
    files = {}
    for tier in TIERS:
        file = folder / f"{tier}.py"
        imports = f"from conf.{tier} import *\nfrom tests.support.patched_constants import patch\n"
        file.write_text(f"{imports}\npatch({dotted(constants)!r})\n")
        files[tier] = str(file)
    return files


def dotted(constants: Mapping[str, float]) -> dict[str, float]:
    """Returns the constants by their dotted names."""
    return {name.replace("__", "."): value for name, value in constants.items()}


def patch(constants: Mapping[str, float]) -> None:
    """Changes constants of modules, in this process and in those that it forks."""
    for path, value in constants.items():
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name), f"there is no {path}"
        setattr(importlib.import_module(module), name, value)
