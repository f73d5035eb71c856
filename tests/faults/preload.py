"""Compiles the C libraries of the fault tests, which are preloaded into the tiers."""

import shutil
import subprocess
from pathlib import Path

import pytest


def compile_library(source: Path, folder: Path) -> Path:
    """Compiles a C file to a shared library in the folder, and returns its path. Skips the test without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip(f"{source.stem.upper().replace('_', ' ')} NOT TESTED, there is no C compiler here: apt install gcc")
    library = folder / f"{source.stem}.so"
    options = ["-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, "-o", library, source], check=True)
    return library
