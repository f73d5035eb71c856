"""A seeded bug."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """Replaces `old`, which occurs once in `file`, by `new`. `breaks` names the damage, and the promise it breaks."""

    name: str
    breaks: str
    file: str
    old: str
    new: str
