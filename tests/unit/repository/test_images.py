"""The pictures of the README: small, shown near its top, and described for those who do not see them."""

import re

import pytest

from tests.support.tiers import ROOT

MAX_BYTES = 200_000
PICTURES = ("shop.png", "desk.png")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_small_png(name: str) -> None:
    content = (ROOT / "docs" / "images" / name).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) <= MAX_BYTES


@pytest.mark.parametrize("name", PICTURES)
def test_the_readme_shows_and_describes_it_near_the_top(name: str) -> None:
    before, _, _ = (ROOT / "README.md").read_text().partition("\n## ")
    [description] = re.findall(rf"!\[([^\]]+)\]\(docs/images/{name}\)", before)
    assert len(description.split()) >= 8


def test_there_is_no_other_picture() -> None:
    assert {path.name for path in (ROOT / "docs" / "images").iterdir()} == set(PICTURES)
