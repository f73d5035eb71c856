"""What the documents point at is there."""

import re
from pathlib import Path

import pytest

from conf.settings import REQUEST_THREADS, TIERS

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/**/*.md")])


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))
    for link in links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), f"{link} is not there"
        assert not anchor or anchor in anchors(target), f"{link}: {path} has no such heading"


def test_there_are_documents_with_links() -> None:
    assert ROOT / "README.md" in DOCUMENTS
    assert "](docs/" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(document: Path) -> None:
    """`tests/support/history.py` and the like, in backquotes."""
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|md|sql|txt))`", document.read_text("utf-8")):
        assert (ROOT / name).exists(), f"{name} is not there"


def test_compose_has_room_for_the_threads_of_a_tier_whose_workers_are_replaced() -> None:
    text = (ROOT / "compose.yaml").read_text("utf-8")
    [limit] = [int(limit) for limit in re.findall(r"pids_limit: (\d+)", text)]
    # Beside those that wait, which may be more than by default, a worker has a few: the loop, those that work for many,
    # one for its output. With WORKER=gthread it has one for each request. A reload has two of each worker.
    for tier in TIERS.values():
        assert limit > 2 * tier.workers * (max(64, tier.threads) + REQUEST_THREADS + 12)
