"""A request is read in the same way wherever its bytes are cut, with empty lines before it and requests after it.

With a stale offset the reader would miss the end of a head, and on a pipelined connection each later response would
belong to the request before.
"""

import os
from collections.abc import Iterator

import pytest

from tests.support.hostile_requests import CORPUS, Hostile
from tests.unit.server.http.good_requests import GOOD, Good
from tests.unit.server.http.reading import WHALE, Outcome, read, read_all

EMPTY_LINES = [b"\r\n" * count for count in range(4)]
# Every cut is tried in this many first bytes of a request, around the limits, and at the end; elsewhere one in
# STRIDE_BYTES. EVERY_CUT=1 tries them all, in about ten minutes.
EVERY_CUT_BYTES = 300 if "EVERY_CUT" not in os.environ else 2_000_000
LIMITS_BYTES = (4_094, 8_190, 32 * 1024, 64 * 1024)
STRIDE_BYTES = 1_999
LARGEST_BYTES = 70_000  # more than the largest head and the largest body, where reading stops


def cuts_of(request: bytes) -> Iterator[int]:
    """Yields the positions to cut at, from 0 to the size of the request."""
    size = len(request)
    yield from range(min(size, EVERY_CUT_BYTES) + 1)
    if size > EVERY_CUT_BYTES:
        around_limits = {limit + offset for limit in LIMITS_BYTES for offset in range(-4, 5)}
        far = {*range(EVERY_CUT_BYTES, size, STRIDE_BYTES), *range(size - 40, size + 1), *around_limits}
        yield from sorted(cut for cut in far if EVERY_CUT_BYTES < cut <= size)


def in_two(data: bytes, cut: int) -> Outcome:
    return read_all([data[:cut], data[cut:]])


def byte_by_byte(data: bytes) -> Outcome:
    return read_all(data[place : place + 1] for place in range(len(data)))


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good.name)
def test_a_good_request_and_the_next_one_are_two_requests_wherever_they_are_cut(good: Good) -> None:
    """The answer about Whale goes to the request for Whale."""
    for empty_lines in EMPTY_LINES:
        data = empty_lines + good.request + empty_lines + WHALE
        outcomes = [in_two(data, cut) for cut in range(len(data) + 1)] + [byte_by_byte(data)]
        for place, outcome in enumerate(outcomes):
            assert outcome.targets == (good.target, "/products/Whale")[: 1 + good.keep_alive], (empty_lines, place)
            assert (outcome.refused, outcome.requests[0].body) == (None, good.body)
            assert outcome == outcomes[0]


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_a_hostile_request_has_the_same_outcome_wherever_it_is_cut(hostile: Hostile) -> None:
    """This holds for the request after it, too, if that is read at all."""
    request = hostile.request[:LARGEST_BYTES]
    whole = read(request + WHALE)
    for empty_lines in EMPTY_LINES:
        data = empty_lines + request + WHALE
        assert read(data) == whole
        for cut in cuts_of(empty_lines + request):
            assert in_two(data, cut) == whole, (empty_lines, cut)
    assert byte_by_byte(EMPTY_LINES[2] + request[:EVERY_CUT_BYTES]) == read(request[:EVERY_CUT_BYTES])


@pytest.mark.parametrize(
    "hostile", [hostile for hostile in CORPUS if 408 not in hostile.statuses], ids=lambda hostile: hostile.name
)
def test_a_hostile_request_is_refused_or_ends_where_the_next_one_begins(hostile: Hostile) -> None:
    outcome = read(hostile.request + WHALE)
    if outcome.refused is None:
        assert outcome.targets[-1] == "/products/Whale"
    else:
        assert "/products/Whale" not in outcome.targets
        assert outcome.requests or outcome.refused in {400, *hostile.statuses}


@pytest.mark.parametrize("first_piece_ends", range(1, 6))
def test_the_end_of_a_head_after_two_empty_lines_is_not_missed(first_piece_ends: int) -> None:
    """A fault of an earlier release: three requests on one connection, the first cut before its last CRLF."""
    bird = b"\r\n\r\nGET /products/Bird HTTP/1.1\r\nHost: a\r\n\r\n"
    tux = b"GET /products/Tux HTTP/1.1\r\nHost: a\r\n\r\n"
    pieces = [bird[:-first_piece_ends], bird[-first_piece_ends:] + tux, WHALE]
    assert read_all(pieces).targets == ("/products/Bird", "/products/Tux", "/products/Whale")


def test_each_pipelined_request_is_read_once_wherever_they_are_cut() -> None:
    wanted = [good for good in GOOD if good.keep_alive]
    data = b"\r\n".join(good.request for good in wanted) + WHALE
    targets = (*(good.target for good in wanted), "/products/Whale")
    for size in (1, 2, 3, 5, 7, 64, 1_000):
        outcome = read_all(data[place : place + size] for place in range(0, len(data), size))
        assert outcome.targets == targets
        assert [request.body for request in outcome.requests] == [good.body for good in wanted] + [b""]
