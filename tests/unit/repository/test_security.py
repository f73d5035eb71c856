"""SECURITY.md names a test for each of the OWASP API risks, and each of these tests exists."""

import ast
import re

import pytest

from tests.support.tiers import ROOT

ROWS = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("| API")]


def test_each_of_the_ten_risks_has_a_row() -> None:
    assert [row.split()[1] for row in ROWS] == [f"API{number}" for number in range(1, 11)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split()[1])
def test_the_tests_of_each_risk_exist(row: str) -> None:
    named = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_\w+)`", row)
    assert named and row.count("::") == len(named)
    for file, test in named:
        module = ast.parse((ROOT / file).read_text())
        assert test in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}, f"{file} has no {test}"


def test_each_named_file_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    paths = re.findall(r"`((?:tests/)?[\w/]+\.(?:py|yaml))`", text) + re.findall(r"\]\(([\w/.]+)\)", text)
    assert paths
    assert [path for path in paths if not (ROOT / path).is_file()] == []
