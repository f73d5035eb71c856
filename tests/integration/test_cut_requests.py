"""A request that reaches a tier in pieces leaves the next requests of its connection their own answers.

tests/unit/server/test_reader.py tries every cut on the parser. This file sends, over a socket, the cuts that once found
a fault.
"""

import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.hostile_requests import CORPUS, Hostile
from tests.support.raw_http import connect, read_replies
from tests.support.tiers import Tiers, products_file

NAMES = ("Bird", "Tux", "Whale")
BIRD, TUX, WHALE = (b"GET /products/%s HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode() for name in NAMES)
# The pause between two pieces, so that the tier reads the first alone. On a slow machine it may read both at once: then
# the test passes without having cut the request.
PAUSE_S = 0.005
SMALL = [hostile for hostile in CORPUS if len(hostile.request) < 1_000 and 408 not in hostile.statuses]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    """A catalog with enough pieces for all tests."""
    folder = tmp_path_factory.mktemp("cuts")
    tiers = Tiers(folder / "data", PRODUCTS=products_file(folder, *(f"{name} 1.50 1000" for name in NAMES)))
    try:
        tiers.start("catalog")
        yield tiers
    finally:
        tiers.stop()


def ask(tiers: Tiers, count: int, *pieces: bytes) -> list[tuple[int, str | None]]:
    """Sends the pieces. Returns status and product of the next `count` replies, of fewer when the tier closes first."""
    with connect(tiers) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(PAUSE_S)
        replies = read_replies(connection, count)
    found: list[tuple[int, str | None]] = []
    for status, body in replies:
        data = json.loads(body).get("data")
        found.append((status, data.get("name") if isinstance(data, dict) else None))
    return found


@pytest.mark.parametrize("empty_lines", range(4))
def test_each_request_gets_its_own_answer_wherever_the_first_is_cut(catalog: Tiers, empty_lines: int) -> None:
    request = b"\r\n" * empty_lines + BIRD
    for cut in range(1, len(request)):
        replies = ask(catalog, 3, request[:cut], request[cut:] + TUX, WHALE)
        assert replies == [(200, "Bird"), (200, "Tux"), (200, "Whale")], cut


@pytest.mark.parametrize("hostile", SMALL, ids=lambda hostile: hostile.name)
def test_a_hostile_request_in_two_pieces_leaves_the_next_request_its_own_answer(
    catalog: Tiers, hostile: Hostile
) -> None:
    for cut in (len(hostile.request) // 2, max(0, len(hostile.request) - 2)):
        data = b"\r\n\r\n" + hostile.request
        replies = ask(catalog, 2, data[: cut + 4], data[cut + 4 :] + WHALE)
        assert replies or None in hostile.statuses
        assert all(status in hostile.statuses for status, _ in replies[:1])
        assert replies[1:] in ([], [(200, "Whale")])


def test_the_corpus_has_more_than_100_small_requests() -> None:
    assert len(SMALL) > 100
