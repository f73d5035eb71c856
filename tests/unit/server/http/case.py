"""A test case of another parser: input bytes, and how that parser reads them."""

from dataclasses import dataclass

from tests.unit.server.http.reading import Outcome


@dataclass(frozen=True, slots=True)
class Case:
    """An input and the expected outcome.

    `reads`: the requests that the other parser reads, as method, target and body.
    `refuses`: whether the other parser refuses the bytes after these requests.
    `difference`: None where our server does the same. Otherwise the number of requests that it reads, and the status
    with which it refuses the next one; the status is None where it waits for more bytes, or the connection ends.
    `reason`: the reason of the difference.
    """

    name: str
    data: bytes
    reads: tuple[tuple[str, str, bytes], ...]
    refuses: bool
    difference: tuple[int, int | None] | None = None
    reason: str = ""

    def agrees(self, outcome: Outcome) -> bool:
        """Returns whether our server does the same as the other parser."""
        requests = tuple((request.method, request.target, request.body) for request in outcome.requests)
        return (requests, outcome.refused is not None) == (self.reads, self.refuses)

    def holds(self, outcome: Outcome) -> bool:
        """Returns whether our server does what the case expects."""
        if self.difference is None:
            return self.agrees(outcome)
        requests = tuple((request.method, request.target, request.body) for request in outcome.requests)
        same = all(one == other for one, other in zip(requests, self.reads, strict=False))
        return same and (len(requests), outcome.refused) == self.difference
