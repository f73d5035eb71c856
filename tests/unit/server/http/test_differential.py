"""Compares the server's parser with two others on generated streams of requests.

Whenever our parser reads a request, at least one of the others reads the same request, and none reads a different one.
A parser that refuses the request does so for a reason in LAXITIES.

CI tries the same streams each time; `pytest tests/unit/server/http --hypothesis-profile=long` looks for new ones.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from random import SystemRandom
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.hostile_requests import CORPUS, Hostile
from tests.unit.server.http.grammar import odd_streams, streams, valid_streams
from tests.unit.server.http.oracles import Refused, Taken, Verdict, ask_gunicorn, ask_h11
from tests.unit.server.http.reading import WHALE, Outcome, Read, read

assert settings.default is not None
EXAMPLES = settings.default.max_examples
SEED = 0 if settings.default.derandomize else SystemRandom().getrandbits(32)


@dataclass(frozen=True, slots=True)
class Laxity:
    """A reason for which our parser reads a request that another one refuses."""

    oracle: str
    refusal: str
    reason: str
    example: bytes


ORACLES = {"h11": ask_h11, "gunicorn": ask_gunicorn}
# One more laxity: our parser skips all empty lines before a request (without_empty_lines).
LAXITIES = [
    Laxity(
        "gunicorn",
        "InvalidRequestMethod: Invalid HTTP method: '[A-Z]{1,2}'",
        "a method of one or two letters is a method (RFC 9110, 9.1)",
        b"A / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    Laxity(
        "gunicorn",
        "ExpectationFailed.*",
        "an expectation in HTTP/1.0 is ignored (RFC 9110, 10.1.1)",
        b"GET / HTTP/1.0\r\nExpect: foo\r\n\r\n",
    ),
    Laxity(
        "gunicorn",
        r"InvalidRequestLine: .*'[A-Z]+ (?i:https?)://\[[0-9A-Fa-f:.v]+\](?::[0-9]*)?(?:[/?]\S*)? HTTP/1.[0-9]'",
        "wsgi_apps/origin.py judges whether a Host in brackets is an address",
        b"GET http://[1::2::3]/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
]


def check(stream: bytes) -> Outcome:
    """Compares each request that our parser reads of a stream with the verdicts of the others."""
    ours = read(stream)
    rest = without_empty_lines(stream)
    for request in ours.requests:
        verdicts = {oracle: ask(rest) for oracle, ask in ORACLES.items()}
        taken = [verdict for verdict in verdicts.values() if isinstance(verdict, Taken)]
        assert taken, f"our parser reads what both others do not: {request}, {verdicts}"
        for oracle, verdict in verdicts.items():
            if isinstance(verdict, Taken):
                wanted = as_ours(verdict)
                if not keep_alive_is_comparable(oracle, verdict):
                    wanted = replace(wanted, keep_alive=request.keep_alive)
                assert request == wanted, oracle
            else:
                assert is_known_laxity(oracle, verdict), (oracle, verdict, request)
        [rest] = {without_empty_lines(one.rest) for one in taken}
    if ours.waits:
        for ask in ORACLES.values():
            verdict = ask(rest)
            assert not isinstance(verdict, Taken), f"our parser has missed the end of a request: {verdict}"
    return ours


def without_empty_lines(stream: bytes) -> bytes:
    """Removes the empty lines before a request.

    Our parser skips all of them, gunicorn one, and h11 none. RFC 9112, 2.2, asks for at least one.
    """
    while stream.startswith(b"\r\n"):
        stream = stream[2:]
    return stream


def is_known_laxity(oracle: str, verdict: Verdict) -> bool:
    return isinstance(verdict, Refused) and any(
        laxity.oracle == oracle and re.fullmatch(laxity.refusal, verdict.reason, re.DOTALL) for laxity in LAXITIES
    )


def as_ours(taken: Taken) -> Read:
    """Converts the request of another parser to our form."""
    absolute = re.fullmatch(r"(?i:https?)://([^/?#]*)(.*)", taken.target)
    path, _, query = (absolute[2] if absolute else taken.target).partition("?")
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in taken.headers:
        if "_" not in name:  # our parser drops it: in the environ it would equal the name with a hyphen
            values[name.upper().replace("-", "_")].append(value)
    headers = {name: ("; " if name == "COOKIE" else ",").join(all_values) for name, all_values in values.items()}
    return Read(
        taken.method,
        taken.target,
        unquote_to_bytes(path or "/").decode("latin-1"),
        query,
        headers,
        taken.body,
        taken.keep_alive,
    )


def keep_alive_is_comparable(oracle: str, taken: Taken) -> bool:
    """Returns whether `keep_alive` means the same to the other parser.

    h11 closes every connection of HTTP/1.0, and gunicorn reads only one option of Connection.
    """
    options = [value for name, value in taken.headers if name == "connection"]
    return taken.version != "1.0" if oracle == "h11" else len(options) < 2 and "," not in "".join(options)


def test_valid_requests_are_read_as_other_parsers_read_them() -> None:
    for stream in valid_streams(SEED, count=10 * EXAMPLES):
        outcome = check(stream + WHALE)
        assert outcome.refused is None, stream
        assert outcome.targets[-1] == "/products/Whale" or not outcome.requests[-1].keep_alive


@given(streams())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_odd_requests_are_read_as_other_parsers_read_them(stream: bytes) -> None:
    check(stream)
    check(stream + WHALE)


def test_many_odd_requests_are_read_as_other_parsers_read_them() -> None:
    """Without Hypothesis, which takes a hundred times as long for each stream."""
    reads = sum(len(check(stream + WHALE).requests) for stream in odd_streams(SEED + 1, count=30 * EXAMPLES))
    assert reads > 10 * EXAMPLES, "so many parts are odd that hardly any request is read and compared"


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_hostile_requests_are_read_as_other_parsers_read_them(hostile: Hostile) -> None:
    check(hostile.request)
    check(hostile.request + WHALE)


@pytest.mark.parametrize("laxity", LAXITIES, ids=lambda laxity: laxity.reason)
def test_each_laxity_has_an_example(laxity: Laxity) -> None:
    assert is_known_laxity(laxity.oracle, ORACLES[laxity.oracle](laxity.example))
    assert len(read(laxity.example).requests) == 1


def test_our_parser_skips_more_empty_lines_than_the_others() -> None:
    request = b"\r\n\r\n" + WHALE
    assert read(request).targets == ("/products/Whale",)
    assert all(isinstance(ask(request), Refused) for ask in ORACLES.values())
