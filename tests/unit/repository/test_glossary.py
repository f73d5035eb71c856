"""The glossary explains terms that code or documents use, each once."""

import re

import pytest

from tests.support.tiers import ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"
ENTRIES = re.findall(r"^- \*\*(.+?)\*\*", GLOSSARY.read_text("utf-8"), re.MULTILINE)
TERMS = [term for entry in ENTRIES for term in entry.split(", ")]
FOLDERS = ("admin", "bench", "cluster", "conf", "db", "domain", "server", "tests", "wsgi_apps")
DOCUMENTS = [path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if path.name != "CHANGELOG.md"]
CODE = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]


@pytest.fixture(scope="module")
def words() -> str:
    """All words of code and documents except the glossary, in lower case, with a blank between two."""
    files = [path for path in [*DOCUMENTS, *CODE] if path != GLOSSARY]
    return " ".join(re.findall(r"[^\W_]+", " ".join(path.read_text("utf-8") for path in files).lower()))


def test_no_term_is_explained_twice() -> None:
    assert len(TERMS) > 40
    assert len(set(TERMS)) == len(TERMS)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_used(term: str, words: str) -> None:
    wanted = " ".join(re.findall(r"[^\W_]+", re.sub(r"\(.+\)", "", term).lower()))
    spellings = (wanted, wanted.replace(" ", ""))  # such as "request cycle" and RequestCycle
    is_used = any(re.search(rf"\b{spelling}(e?s|ed)?\b", words) for spelling in spellings)
    assert is_used, f"no code and no other document uses {term!r}"
