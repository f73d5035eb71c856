"""Sends every hostile request to every tier: each is refused, answered or dropped, and none changes the books."""

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.support.books import Books
from tests.support.hostile_requests import CORPUS, SMUGGLED, Hostile
from tests.support.tiers import NAMES, Tiers, running

ANSWER_TIMEOUT_S = 45.0


@dataclass(frozen=True)
class Outcome:
    """The reply. `stuck`: the tier neither completed it nor closed the connection in time."""

    reply: bytes
    stuck: bool


@dataclass(frozen=True)
class Attack:
    """A running store that has received the whole corpus, on all tiers at once."""

    tiers: Tiers
    before: Books
    outcomes: dict[tuple[str, str], Outcome]


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    """Sends the corpus once for all tests of this file."""
    with running(tmp_path_factory.mktemp("attack") / "data") as tiers, ThreadPoolExecutor(64) as pool:
        before = Books.read(tiers.data_dir)
        sent = {
            (tier, hostile.name): pool.submit(send, tiers.ports[tier], hostile.request)
            for tier in NAMES
            # first those that time out, so that their timeouts run at the same time
            for hostile in sorted(CORPUS, key=lambda hostile: 408 in hostile.statuses, reverse=True)
        }
        yield Attack(tiers, before, {case: outcome.result() for case, outcome in sent.items()})


def send(port: int, request: bytes) -> Outcome:
    """Sends a request. Reads until the first reply is complete, or the tier closes the connection."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    reply = b""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_TIMEOUT_S) as connection:
        try:
            connection.sendall(request)
            while not is_whole(reply):
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                if not (received := connection.recv(65536)):
                    break
                reply += received
        except TimeoutError:
            return Outcome(reply, stuck=True)
        except (ConnectionResetError, BrokenPipeError):
            pass  # the tier closed the connection before it read the whole request
    return Outcome(reply, stuck=False)


def is_whole(reply: bytes) -> bool:
    """Returns whether the first response is complete."""
    head, _, content = reply.partition(b"\r\n\r\n")
    return b"\r\n\r\n" in reply and len(content) >= length_of(head)


def length_of(head: bytes) -> int:
    """Returns the Content-Length of a head."""
    [length] = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return int(length)


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len(CORPUS) >= 60
    assert len({hostile.name for hostile in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("tier", NAMES)
@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_a_hostile_request_is_answered_with_json_or_dropped(attack: Attack, hostile: Hostile, tier: str) -> None:
    outcome = attack.outcomes[tier, hostile.name]
    assert not outcome.stuck, f"neither answered nor closed within {ANSWER_TIMEOUT_S} s: {outcome.reply!r}"
    if not outcome.reply:
        assert None in hostile.statuses, "the connection was closed without a reply"
        return
    head, _, content = outcome.reply.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert status in hostile.statuses, outcome.reply
    assert b"\r\ncontent-type: application/json\r\n" in head.lower() + b"\r\n"
    reply = json.loads(content[: length_of(head)])
    if status != 200:
        assert list(reply) == ["error"]
        assert (reply["error"]["code"], type(reply["error"]["message"])) == (status, str)


def test_no_hostile_request_changed_anything(attack: Attack) -> None:
    after = Books.read(attack.tiers.data_dir)
    assert after == attack.before


def test_every_tier_still_answers(attack: Attack) -> None:
    url = attack.tiers.url
    assert requests.get(url("front_end") + "/products/Tux", timeout=10).json()["data"]["quantity"] == 80
    assert requests.get(url("catalog") + "/products/Tux", timeout=10).status_code == 200
    assert requests.post(url("front_end") + "/Whale/1", timeout=10).json() == {"data": {"order_number": "0"}}
    assert requests.get(url("order") + "/orders/0", timeout=10).json()["data"]["name"] == "Whale"
    log = attack.tiers.log.read_text()
    assert "Traceback" not in log
    assert not re.search("request [0-9a-f]{32}", log), "the tier has logged an internal error"


@pytest.mark.parametrize("tier", NAMES)
@pytest.mark.parametrize(
    "bad",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"POST /x/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /x/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n",
    ],
    ids=["a bad header", "bare line feeds", "chunks", "too large a body"],
)
def test_a_request_after_a_refused_one_is_not_answered(attack: Attack, tier: str, bad: bytes) -> None:
    """The start of a request after a malformed one is unknown."""
    before = Books.read(attack.tiers.data_dir)
    with socket.create_connection(("127.0.0.1", attack.tiers.ports[tier]), timeout=10) as connection:
        connection.sendall(bad + SMUGGLED)
        reply = b""
        while received := connection.recv(65536):
            reply += received
    assert reply.startswith(b"HTTP/1.1 4")
    assert reply.count(b"HTTP/1.1 ") == 1
    assert Books.read(attack.tiers.data_dir) == before


def test_a_head_with_a_bare_line_feed_is_refused_at_once(attack: Attack) -> None:
    for request in (b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\n"):
        for tier in NAMES:
            reply = send(attack.tiers.ports[tier], request).reply
            assert reply.startswith(b"HTTP/1.1 400 "), "408, after the timeout, would be late"


def test_two_idempotency_keys_in_a_request_buy_nothing(attack: Attack, tmp_path: Path) -> None:
    """gunicorn would join the two to a key that the client has not sent."""
    before = Books.read(attack.tiers.data_dir)
    keys = b"Idempotency-Key: k\r\nIdempotency-Key: k\r\n"
    for tier, path in (("front_end", b"/Tux/1"), ("order", b"/products/Tux/1"), ("catalog", b"/Tux/1")):
        reply = send(attack.tiers.ports[tier], b"POST " + path + b" HTTP/1.1\r\nHost: a\r\n" + keys + b"\r\n").reply
        assert reply.startswith(b"HTTP/1.1 400 ")
        assert b"the Idempotency-Key stands twice" in reply
    assert Books.read(attack.tiers.data_dir) == before
