"""The benchmarks' results that the repository keeps are small: tables and plots, no raw samples."""

import json
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from bench.program import RESULTS
from tests.support.tiers import ROOT

MAX_BYTES = 200_000
_IGNORED = [
    line.removeprefix("bench/results/")
    for line in (ROOT / ".gitignore").read_text().splitlines()
    if line.startswith("bench/results/")
]
# Files that git ignores, such as those of a quick run, may be larger.
KEPT = sorted(
    path for path in RESULTS.iterdir() if path.is_file() and not any(fnmatch(path.name, each) for each in _IGNORED)
)
JSON_FILES = [path for path in KEPT if path.suffix == ".json"]


def arrays_of_numbers(value: Any, where: str = "") -> Iterator[tuple[str, list[float]]]:
    """Yields each array of numbers in a JSON value, with the names that lead to it."""
    if isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
        yield where, value
    elif isinstance(value, list):
        for one in value:
            yield from arrays_of_numbers(one, where)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from arrays_of_numbers(one, f"{where}.{name}")


def test_there_are_results() -> None:
    assert {"peers.json", "growth.json", "soak.json"} <= {path.name for path in JSON_FILES}


def test_no_result_is_larger_than_200_kb() -> None:
    assert {path.name: path.stat().st_size for path in KEPT if path.stat().st_size > MAX_BYTES} == {}


def test_results_are_json_markdown_and_png() -> None:
    assert {path.suffix for path in KEPT} == {".json", ".md", ".png"}


@pytest.mark.parametrize("path", JSON_FILES, ids=lambda path: path.name)
def test_a_result_has_no_samples(path: Path) -> None:
    text = path.read_text()
    assert "samples" not in text
    # There are five rounds with one figure each, so a longer array has samples.
    assert [(where, len(array)) for where, array in arrays_of_numbers(json.loads(text)) if len(array) > 10] == []
