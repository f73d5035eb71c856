"""`make lint` refuses a workflow, an issue form or a dependabot.yml that GitHub could not read."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tiers import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHECKS = re.findall(r"^\t\$\(BIN\)/(check-jsonschema [^\n\\]+)(?:\\\n[^\n]+)?$", (ROOT / "Makefile").read_text(), re.M)


def failed_checks(root: Path, schema: str = "vendor.") -> list[str]:
    """Runs the checks of `make lint` for this schema, or for all, in a folder. Returns the schemas that failed."""
    failed = []
    forms = " ".join(str(path) for path in (root / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
    for check in [check for check in CHECKS if schema in check]:
        command = f"{Path(sys.executable).parent}/{check} {forms if 'issue-forms' in check else ''}"
        if subprocess.run(command, cwd=root, shell=True, capture_output=True, check=False).returncode:
            failed.append(check.split()[2])
    return failed


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a copy of .github."""
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    return tmp_path


def test_the_files_fit_their_schemas(copy: Path) -> None:
    assert len(CHECKS) == 4
    assert failed_checks(copy) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "schema"),
    [
        ("workflows/ci.yml", "runs-on:", "run-on:", "vendor.github-workflows"),
        ("workflows/ci.yml", "contents: read", "contents: look", "vendor.github-workflows"),
        ("dependabot.yml", "interval: monthly", "interval: sometimes", "vendor.dependabot"),
        ("ISSUE_TEMPLATE/config.yml", "true", "perhaps", "vendor.github-issue-config"),
        ("ISSUE_TEMPLATE/bug.yml", "type: textarea", "type: text", "vendor.github-issue-forms"),
        ("ISSUE_TEMPLATE/change.yml", "label: The problem", "title: The problem", "vendor.github-issue-forms"),
    ],
)
def test_a_broken_file_is_refused(copy: Path, file: str, old: str, new: str, schema: str) -> None:
    path = copy / ".github" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert failed_checks(copy, schema) == [schema]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_may_only_read(workflow: Path) -> None:
    text = workflow.read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)] == []
    assert re.findall(r"permissions:\n((?: +.*\n)+)", text) == ["  contents: read\n"]


def test_the_workflow_runs_the_stages_that_make_knows() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    assert set(re.findall(r"run: make ([a-z-]+)", text)) <= targets
    assert set(" ".join(re.findall(r" stages: ([a-z0-9 -]+)$", text, re.MULTILINE)).split()) <= targets
