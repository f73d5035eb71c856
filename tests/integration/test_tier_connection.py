"""The client of a tier over a socket: replies that it accepts, replies that it refuses, and requests that it sends."""

import json
import logging
import socket
import time
from contextlib import closing
from typing import Any

import pytest

from db import outages
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import OutOfStock, Unavailable
from domain.limits import MAX_BATCH, MAX_NAMES
from domain.values import MAX_KEY_CHARACTERS, MAX_NAME_CHARACTERS, Buy
from tests.support.scripted_tier import OUT_OF_STOCK, SOLD, TIMEOUT_S, Answer, ScriptedTier, length, reply, scripted
from wsgi_apps.bearer_auth import encode_authorization
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.tier_client import TierClient
from wsgi_apps.tier_connection import MAX_BODY_BYTES, MAX_HEAD_BYTES, ReplyRefused, TierConnection, TierReply
from wsgi_apps.wire import MAX_PAGE_BYTES

BUY = Buy("k", "Tux", 1)


def read(answer: Answer) -> TierReply:
    """Returns the reply as a client reads it over a new connection."""
    with closing(ScriptedTier(answer)) as tier, closing(TierConnection("127.0.0.1", tier.port)) as connection:
        return connection.exchange(b"GET / HTTP/1.1\r\n\r\n", time.monotonic() + TIMEOUT_S)


DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT"
JSON = b"Content-Type: application/json"
# Replies of tiers under all servers that they may run under, and through proxies.
ACCEPTED = {
    "our own worker": reply(DATE, JSON, length(), b"X-Content-Type-Options: nosniff"),
    "gunicorn": reply(b"Server: gunicorn", DATE, b"Connection: keep-alive", JSON, length()),
    "waitress": reply(length(), JSON, DATE, b"Server: waitress"),
    "wsgiref": reply(DATE, b"Server: WSGIServer/0.2", JSON, length(), status=b"HTTP/1.0 200 OK"),
    "nginx": reply(
        b"Server: nginx/1.29.1", DATE, JSON, length(), b"Connection: keep-alive", b"Via: 1.1 a", b"Via: 1.1 b"
    ),
    "names in lower case": reply(b"content-type:application/json", length().lower()),
    "blanks around a value": reply(b"Content-Length:\t %d \t" % len(OUT_OF_STOCK), JSON + b"  "),
    "no reason": reply(length(), JSON, status=b"HTTP/1.1 200 "),
    "a reason beyond ASCII": reply(length(), JSON, status=b"HTTP/1.1 200 Tr\xe8s bien"),
    "an empty value": reply(b"X:", length(), JSON),
    "a length with zeros": reply(b"Content-Length: 0000%d" % len(OUT_OF_STOCK), JSON),
    "an end of the connection": reply(length(), JSON, b"Connection: close"),
    "a long head": reply(length(), JSON, b"X: " + b"x" * (MAX_HEAD_BYTES - 200)),
}


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize("pieces", ["whole", "bytes", "head and body"])
def test_a_valid_reply_is_accepted_whole_and_in_pieces(name: str, pieces: str) -> None:
    whole = ACCEPTED[name]
    head_bytes = whole.index(b"\r\n\r\n") + 4
    in_pieces: dict[str, list[bytes | None]] = {
        "whole": [whole],
        "bytes": [*(whole[at : at + 1] for at in range(min(len(whole), 300))), whole[300:]],
        "head and body": [whole[:head_bytes], whole[head_bytes:]],
    }
    answer = read(in_pieces[pieces])
    assert (answer.status, answer.body) == (200, OUT_OF_STOCK)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.closes is (name in ("wsgiref", "an end of the connection"))


@pytest.mark.parametrize(
    ("option", "closes"),
    [
        (b"close", True),
        (b"Close", True),
        (b"TE, close", True),
        (b"close , x", True),
        (b"keep-alive", False),
        (b"closed", False),
        (b"x\r\nConnection: close", True),
    ],
)
def test_a_connection_is_kept_unless_the_reply_says_close(option: bytes, closes: bool) -> None:
    answer = reply(length(SOLD), JSON, b"Connection: " + option, body=SOLD)
    with scripted(answer, answer) as (tier, client):
        for _ in range(2):
            HttpCatalog(client).sell([BUY])
    assert len(tier.connections) == (2 if closes else 1)


CHUNKED = b"Transfer-Encoding: chunked"
IN_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(OUT_OF_STOCK), OUT_OF_STOCK)
# Each reply, and the reason in the log.
REFUSED: dict[str, tuple[Answer, str]] = {
    "chunked": (reply(CHUNKED, body=IN_CHUNKS), "its reply is chunked"),
    "chunked, and a length": (reply(CHUNKED, length(IN_CHUNKS), body=IN_CHUNKS), "its reply is chunked"),
    "an unknown coding": (reply(b"Transfer-Encoding: identity", length()), "its reply is chunked"),
    "no length": (reply(JSON), "its reply does not say its length"),
    "an empty length": (reply(b"Content-Length:"), "its reply does not say its length"),
    "a negative length": (reply(b"Content-Length: -1"), "its reply does not say its length"),
    "a length with a sign": (reply(b"Content-Length: +%d" % len(OUT_OF_STOCK)), "its reply does not say its length"),
    "a length with an underscore": (reply(b"Content-Length: 4_0"), "its reply does not say its length"),
    "a length in Latin-1 digits": (reply(b"Content-Length: \xb2"), "its reply does not say its length"),
    "a length in hexadecimal": (reply(b"Content-Length: 0x28"), "its reply does not say its length"),
    "two lengths that agree": (reply(length(), length()), "its reply does not say its length"),
    "two lengths that differ": (reply(length(), b"Content-Length: 1"), "its reply does not say its length"),
    "a list of lengths": (
        reply(b"Content-Length: %d, %d" % (len(OUT_OF_STOCK), len(OUT_OF_STOCK))),
        "its reply does not say its length",
    ),
    "a length beyond all": (reply(b"Content-Length: " + b"9" * 5_000), "its reply does not say its length"),
    "a body that is too long": (reply(b"Content-Length: %d" % (MAX_BODY_BYTES + 1)), "its reply is too long"),
    "a head that is too long": (reply(length(), b"X: " + b"x" * MAX_HEAD_BYTES), "the head of its reply is too long"),
    "a head that does not end": ([b"x" * MAX_HEAD_BYTES], "the head of its reply is too long"),
    "bytes after the body": (reply(length()) + b"\n", "it sent more than its reply"),
    "two replies": (reply(length()) * 2, "it sent more than its reply"),
    "less than its length": (
        [reply(length(OUT_OF_STOCK + b" ")), None],
        "before its reply was whole",
    ),
    "nothing": ([None], "before its reply was whole"),
    "an interim reply": (reply(length(), status=b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "answers 100"),
    "early hints": (reply(b"Link: </x>", b"", b"HTTP/1.1 200 OK", length(), status=b"HTTP/1.1 103 X"), "answers 103"),
    "another protocol from here on": (reply(length(), status=b"HTTP/1.1 101 Switching Protocols"), "answers 101"),
    "no content": (reply(length(), status=b"HTTP/1.1 204 No Content"), "answers 204"),
    "not modified": (reply(length(), status=b"HTTP/1.1 304 Not Modified"), "answers 304"),
    "HTTP/0.9": ([OUT_OF_STOCK, None], "before its reply was whole"),
    "HTTP/1.2": (reply(length(), status=b"HTTP/1.2 200 OK"), "its reply is not HTTP/1.1"),
    "HTTP/2.0": (reply(length(), status=b"HTTP/2.0 200 OK"), "its reply is not HTTP/1.1"),
    "HTTP in lower case": (reply(length(), status=b"http/1.1 200 OK"), "its reply is not HTTP/1.1"),
    "another protocol": (reply(length(), status=b"ICY 200 OK"), "its reply is not HTTP/1.1"),
    "a request": (reply(length(), status=b"GET / HTTP/1.1"), "its reply is not HTTP/1.1"),
    "an empty line before it": (b"\r\n" + reply(length()), "its reply is not HTTP/1.1"),
    "a status of two digits": (reply(length(), status=b"HTTP/1.1 20 OK"), "its reply is not HTTP/1.1"),
    "a status of four digits": (reply(length(), status=b"HTTP/1.1 2000 OK"), "its reply is not HTTP/1.1"),
    "a status of 600": (reply(length(), status=b"HTTP/1.1 600 OK"), "its reply is not HTTP/1.1"),
    "a status that is none": (reply(length(), status=b"HTTP/1.1 2x0 OK"), "its reply is not HTTP/1.1"),
    "two blanks": (reply(length(), status=b"HTTP/1.1  200 OK"), "its reply is not HTTP/1.1"),
    "a NUL in the reason": (reply(length(), status=b"HTTP/1.1 200 O\0K"), "its reply is not HTTP/1.1"),
    "a folded line": (reply(b"X: a", b" " + length()), "its reply is not HTTP/1.1"),
    "a blank before a colon": (reply(b"X : a", length()), "its reply is not HTTP/1.1"),
    "a line without a colon": (reply(b"nonsense", length()), "its reply is not HTTP/1.1"),
    "a line without a name": (reply(b": a", length()), "its reply is not HTTP/1.1"),
    "a bare CR": (reply(b"X: a\rContent-Length: 1", length()), "its reply is not HTTP/1.1"),
    "a bare LF": (reply(b"X: a\nContent-Length: 1", length()), "its reply is not HTTP/1.1"),
    "a NUL in a value": (reply(b"X: a\0", length()), "its reply is not HTTP/1.1"),
    "a name beyond ASCII": (reply(b"X\xe9: a", length()), "its reply is not HTTP/1.1"),
    "line ends of LF alone": ([reply(length()).replace(b"\r\n", b"\n"), None], "before its reply was whole"),
    "another program": (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "its reply is not HTTP/1.1"),
}


@pytest.fixture
def no_earlier_outages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets earlier outages: each is logged only once in a while, and a test may get the port of an earlier one."""
    monkeypatch.setattr(outages, "_logged_at", {})
    monkeypatch.setattr(outages, "_active", {})


@pytest.mark.usefixtures("no_earlier_outages")
@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_reply_leaves_the_buy_in_doubt_and_closes_the_connection(
    orders: OrderStore, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer, why = REFUSED[name]
    sold = reply(length(SOLD), JSON, body=SOLD)
    with scripted(answer, sold) as (tier, client), caplog.at_level(logging.INFO):
        checkout = Checkout(orders, HttpCatalog(client, retry=False))
        with pytest.raises(Unavailable):
            checkout.place_all([BUY])
        assert orders.intents(10) == [BUY]
        assert len(tier.requests) == 1, "a reply over a new connection must not be asked for again"
        [line] = [message for message in caplog.messages if "does not answer" in message]
        assert why in line
        assert checkout.place_all([BUY]) == [0], "the next try asks under the same key"
    assert len(tier.connections) == 2


def test_a_truncated_reply_is_refused_wherever_it_ends() -> None:
    whole = reply(JSON, length())
    for end in range(len(whole)):
        with pytest.raises(ReplyRefused, match="before its reply was whole"):
            read([whole[:end], None])
    assert read([whole, None]).body == OUT_OF_STOCK


def test_a_reply_of_any_status_is_read_by_its_content_length() -> None:
    for status in (200, 201, 206, 302, 400, 404, 409, 422, 429, 500, 503, 599):
        answer = read(reply(length(), JSON, status=b"HTTP/1.1 %d x" % status))
        assert (answer.status, answer.body) == (status, OUT_OF_STOCK)


def test_a_reply_of_the_largest_size_is_read_and_all_replies_of_a_tier_are_smaller() -> None:
    body = b"x" * MAX_BODY_BYTES
    assert read(reply(length(body), body=body)).body == body
    assert MAX_PAGE_BYTES < MAX_BODY_BYTES
    product = json.dumps(["\U0001f427" * MAX_NAME_CHARACTERS, 10**11, 10**9], ensure_ascii=False)
    assert MAX_NAMES * len(product.encode()) < MAX_BODY_BYTES


def test_bytes_after_a_reply_are_not_taken_for_the_next_reply() -> None:
    """The extra bytes come after the reply has been read, and the connection is kept already."""
    sold, other = (reply(length(SOLD), JSON, body=SOLD), reply(length(), JSON))
    with scripted(sold, sold) as (tier, client):
        catalog = HttpCatalog(client, retry=False)
        catalog.sell([BUY])
        tier.connections[0].sendall(other)
        assert [type(sale).__name__ for sale in catalog.sell([BUY])] == ["Sold"]
    assert len(tier.connections) == 2
    assert len(tier.requests) == 2, "the connection was used in spite of the extra bytes"


def test_a_refused_reply_on_a_kept_connection_is_asked_for_again_at_once() -> None:
    """The connection may have held bytes of an earlier reply."""
    sold = reply(length(SOLD), JSON, body=SOLD)
    with scripted(sold, reply(CHUNKED, body=IN_CHUNKS), sold) as (tier, client):
        catalog = HttpCatalog(client, retry=False)
        for _ in range(2):
            assert [type(sale).__name__ for sale in catalog.sell([BUY])] == ["Sold"]
    assert [len(tier.connections), len(tier.requests)] == [2, 3]


class RecordingSocket:
    """A socket that records the bytes of each `sendall`."""

    def __init__(self, sock: socket.socket, sent: list[bytes]) -> None:
        self._sock = sock
        self._sent = sent

    def __getattr__(self, name: str) -> Any:
        assert name not in ("send", "sendmsg", "sendto", "makefile")
        return getattr(self._sock, name)

    def sendall(self, data: bytes) -> None:
        self._sent.append(data)
        self._sock.sendall(data)


def test_a_request_is_sent_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pieces would wake the tier up twice."""
    sent: list[bytes] = []
    connect = TierConnection._connect
    monkeypatch.setattr(
        TierConnection, "_connect", lambda self, deadline: RecordingSocket(connect(self, deadline), sent)
    )
    longest = Buy("x" * MAX_KEY_CHARACTERS, "\U0001f427" * MAX_NAME_CHARACTERS, 1_000_000)
    sold = b'{"data": [%s]}' % b", ".join([b"1"] * MAX_BATCH)
    answers = [reply(length(sold), JSON, body=sold), reply(length(SOLD), JSON, body=SOLD)]
    with scripted(*answers) as (tier, client):
        HttpCatalog(client).sell([longest] * MAX_BATCH)
        HttpCatalog(client).sell([BUY])
    assert sent == tier.requests
    assert len(sent) == 2


def test_a_request_has_only_the_headers_that_a_tier_needs() -> None:
    sold = reply(length(SOLD), JSON, body=SOLD)
    with scripted(sold, authorization=encode_authorization("s" * 32)) as (tier, client):
        HttpCatalog(client).sell([BUY])
    body = b'[["k", "Tux", 1]]'
    assert tier.requests == [
        b"POST /v1/sales HTTP/1.1\r\n"
        b"Host: 127.0.0.1:%d\r\n"
        b"Authorization: Bearer %s\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (tier.port, b"s" * 32, len(body), body)
    ]


@pytest.mark.parametrize("key", ["k\r\nX: y", "k\n", "k\r", "k\0", "\u010d\u010a", "k\x7f", "k\x85"])
def test_a_control_character_or_non_ascii_letter_in_a_header_value_is_an_error(key: str) -> None:
    with scripted() as (tier, client), pytest.raises(ValueError):
        HttpOrders(client).order(1, key)
    assert tier.requests == []


@pytest.mark.parametrize("host", ["2001:db8::7", "fe80::7%eth0", "fe80::7%a\rb"])
def test_the_host_of_an_ipv6_address_is_in_brackets_and_without_its_zone(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, port, **options: real("127.0.0.1", port, **options))
    sold = reply(length(SOLD), JSON, body=SOLD)
    with (
        closing(ScriptedTier(sold)) as tier,
        closing(TierClient("catalog", [(host, tier.port)], deadline_s=60)) as client,
    ):
        HttpCatalog(client).sell([BUY])
    assert b"\r\nHost: [%s]:%d\r\n" % (host.partition("%")[0].encode(), tier.port) in tier.requests[0]


def test_a_refusal_in_a_batch_reply_is_the_answer_to_its_buy() -> None:
    with scripted(ACCEPTED["gunicorn"]) as (_tier, client):
        assert HttpCatalog(client).sell([BUY]) == [OutOfStock()]


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"data": [' + b"9" * 5_000 + b"]}", b'{"data": [NaN]}', b"\xff\xfe"]
)
def test_a_body_that_is_not_valid_json_is_unavailable(body: bytes) -> None:
    with scripted(reply(length(body), JSON, body=body)) as (_tier, client), pytest.raises(Unavailable):
        HttpCatalog(client, retry=False).sell([BUY])


@pytest.mark.parametrize("part", ["head", "body"])
@pytest.mark.parametrize("is_kept", [False, True])
def test_a_reply_that_trickles_times_out_at_the_deadline(is_kept: bool, part: str) -> None:
    """It would take ten times the deadline. Each of its bytes restarts the timeout of the socket."""
    body = b" " * 300
    head = {"head": reply(length(b""), b"X: " + body, body=b""), "body": reply(length(body), body=b"")}[part]
    at_once = head.index(body) if part == "head" else len(head)
    slow: list[bytes | None] = [head[:at_once], *[b" "] * len(body)]
    if part == "head":
        slow.append(head[at_once + len(body) :])
    good = reply(length(SOLD), body=SOLD)
    with (
        closing(ScriptedTier(*[good] * is_kept, slow, pause_s=0.01)) as tier,
        closing(TierConnection("127.0.0.1", tier.port)) as connection,
    ):
        if is_kept:
            connection.exchange(b"GET / HTTP/1.1\r\n\r\n", time.monotonic() + TIMEOUT_S)
        with pytest.raises(TimeoutError):
            connection.exchange(b"GET / HTTP/1.1\r\n\r\n", time.monotonic() + 0.3)
