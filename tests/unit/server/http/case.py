"""The form of a fact that others' tests state: bytes, and what their parser makes of them."""

from dataclasses import dataclass

from tests.unit.server.http.reading import Outcome


@dataclass(frozen=True, slots=True)
class Case:
    """`theirs`: each request that they read, as method, target and body; `refuses`: whether they refuse what follows.

    Ours reads and refuses the same, unless `ours` says how many requests it reads, and by which status it refuses the
    next (None: it waits for the rest, or the connection ends), and `why`.
    """

    name: str
    data: bytes
    theirs: tuple[tuple[str, str, bytes], ...]
    refuses: bool
    ours: tuple[int, int | None] | None = None
    why: str = ""

    def agrees(self, outcome: Outcome) -> bool:
        """Whether ours read it as they do."""
        requests = tuple((request.method, request.target, request.body) for request in outcome.requests)
        return (requests, outcome.refused is not None) == (self.theirs, self.refuses)

    def holds(self, outcome: Outcome) -> bool:
        """Whether ours read it as the fact says."""
        if self.ours is None:
            return self.agrees(outcome)
        requests = tuple((request.method, request.target, request.body) for request in outcome.requests)
        same = all(one == other for one, other in zip(requests, self.theirs, strict=False))
        return same and (len(requests), outcome.refused) == self.ours
