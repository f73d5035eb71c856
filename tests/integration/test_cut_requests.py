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
from tests.support.tiers import Tiers, products_file

NAMES = ("Bird", "Tux", "Whale")
BIRD, TUX, WHALE = (b"GET /products/%s HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode() for name in NAMES)
# The pause between two pieces, for the tier to read the first alone. On a slow machine the tests find less, and pass.
PAUSE_S = 0.005
SMALL = [hostile for hostile in CORPUS if len(hostile.request) < 1_000 and 408 not in hostile.statuses]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    folder = tmp_path_factory.mktemp("cuts")
    tiers = Tiers(folder / "data", PRODUCTS=products_file(folder, *(f"{name} 1.50 1000" for name in NAMES)))
    try:
        tiers.start("catalog")
        yield tiers
    finally:
        tiers.stop()


def ask(tiers: Tiers, *pieces: bytes) -> Iterator[tuple[int, str | None]]:
    """Sends the pieces. Yields the status and the product of each reply, until the tier closes the connection."""
    with socket.create_connection(("127.0.0.1", tiers.ports["catalog"]), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(PAUSE_S)
        with connection.makefile("rb") as stream:
            while line := stream.readline():
                length = 0
                while header := stream.readline().strip():
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                data = json.loads(stream.read(length)).get("data")
                yield int(line.split()[1]), data.get("name") if isinstance(data, dict) else None


def first(count: int, replies: Iterator[tuple[int, str | None]]) -> list[tuple[int, str | None]]:
    return [reply for _, reply in zip(range(count), replies, strict=False)]


@pytest.mark.parametrize("empty_lines", range(4))
def test_each_request_gets_its_own_answer_wherever_the_first_is_cut(catalog: Tiers, empty_lines: int) -> None:
    """The answer about Whale goes to the request for Whale."""
    request = b"\r\n" * empty_lines + BIRD
    for cut in range(1, len(request)):
        replies = ask(catalog, request[:cut], request[cut:] + TUX, WHALE)
        assert first(3, replies) == [(200, "Bird"), (200, "Tux"), (200, "Whale")], cut


@pytest.mark.parametrize("hostile", SMALL, ids=lambda hostile: hostile.name)
def test_a_hostile_request_in_two_pieces_leaves_the_next_request_its_own_answer(
    catalog: Tiers, hostile: Hostile
) -> None:
    for cut in (len(hostile.request) // 2, max(0, len(hostile.request) - 2)):
        data = b"\r\n\r\n" + hostile.request
        replies = first(2, ask(catalog, data[: cut + 4], data[cut + 4 :] + WHALE))
        assert replies or None in hostile.statuses
        assert all(status in hostile.statuses for status, _ in replies[:1])
        assert replies[1:] in ([], [(200, "Whale")])


def test_the_corpus_has_more_than_100_small_requests() -> None:
    assert len(SMALL) > 100
