"""A seeded bug."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `file`, `old` stands once and becomes `new`. `breaks` says what would go wrong, and by which promise."""

    name: str
    breaks: str
    file: str
    old: str
    new: str
