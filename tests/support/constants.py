"""Tiers with other constants than their own, so that a test need not be quicker than the machine lets it."""

import importlib
from collections.abc import Mapping
from pathlib import Path

from conf.settings import TIERS

# Of the front end and of the order tier: the time in which a busy machine starts a tier again.
PATIENT = {"wsgi_apps__front_end__DEADLINE_S": 60.0, "wsgi_apps__order__DEADLINE_S": 30.0}


def gunicorn_files(folder: Path, **constants: float) -> dict[str, str]:
    """gunicorn's settings file of each tier, in which these constants of our modules are changed.

    A constant is named by its module and itself, with two underscores for a dot: server__worker__REQUEST_TIMEOUT_S=60.0
    """
    files = {}
    for tier in TIERS:
        file = folder / f"{tier}.py"
        file.write_text(
            f"from conf.{tier} import *\nfrom tests.support.constants import change\n\nchange({dotted(constants)!r})\n"
        )
        files[tier] = str(file)
    return files


def dotted(constants: Mapping[str, float]) -> dict[str, float]:
    return {name.replace("__", "."): value for name, value in constants.items()}


def change(constants: Mapping[str, float]) -> None:
    """Change constants of modules, in this process and in those that it forks."""
    for path, value in constants.items():
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name), f"there is no {path}"
        setattr(importlib.import_module(module), name, value)
