"""Links and file names in the documents point to existing files and headings."""

import re
from pathlib import Path

import pytest

from conf.settings import REQUEST_THREADS, TIERS, describe

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/**/*.md")])


def anchors(document: Path) -> set[str]:
    """Returns the anchors of a document's headings, by the rule of GitHub and GitLab."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_point_to_existing_files_and_headings(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))
    for link in links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), f"{link} is not there"
        assert not anchor or anchor in anchors(target), f"{link}: {path} has no such heading"


def test_the_documents_include_a_readme_with_links() -> None:
    assert ROOT / "README.md" in DOCUMENTS
    assert "](docs/" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(document: Path) -> None:
    """Paths in backquotes, such as `tests/support/history.py`."""
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|md|sql|txt))`", document.read_text("utf-8")):
        assert (ROOT / name).exists(), f"{name} is not there"


def test_the_readme_has_a_row_for_each_setting_in_the_help() -> None:
    lines = re.findall(r"^  ((?:[A-Z][A-Z_]+, )*(?:[A-Z][A-Z_]+|p)) ", describe(), re.MULTILINE)
    settings = {name for line in lines for name in line.split(", ")}
    section = (ROOT / "README.md").read_text("utf-8").split("\n## Settings\n")[1].split("\n## ")[0]
    rows = {name for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert len(settings) > 15
    assert settings == rows


def test_the_pids_limit_of_compose_allows_a_reload() -> None:
    text = (ROOT / "compose.yaml").read_text("utf-8")
    [limit] = [int(limit) for limit in re.findall(r"pids_limit: (\d+)", text)]
    # A worker has request threads, of which a setting may ask for more than the default, and a few others: the event
    # loop, the threads of batches, one for its output. With WORKER=gthread it has one thread for each request. During a
    # reload there are two of each worker.
    for tier in TIERS.values():
        assert limit > 2 * tier.workers * (max(64, tier.threads) + REQUEST_THREADS + 12)
