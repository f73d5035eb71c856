"""Replies that a tier accepts from another, and replies that it refuses."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest

from conf.addresses import Address
from conf.secret import Secrets
from db import outages
from db.order import OrderStore
from domain.checkout import MAX_BATCH, Checkout
from domain.errors import OutOfStock, Unavailable
from domain.values import MAX_KEY_CHARACTERS, MAX_NAME_CHARACTERS, Buy
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.tier_client import TierClient
from wsgi_apps.tier_connection import MAX_BODY_BYTES, MAX_HEAD_BYTES, ReplyRefused, TierConnection, TierReply
from wsgi_apps.wire import MAX_NAMES, MAX_PAGE_BYTES

BUY = Buy("k", "Tux", 1)
PATIENCE_S = 60.0
# Were it taken for an answer, the buy would be refused for good.
NO = b'{"data": [[404, "out of stock", null]]}\n'
YES = b'{"data": [2599]}\n'


Answer = bytes | list[bytes | None]


def reply(*lines: bytes, body: bytes = NO, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *lines, b"", body])


def length(body: bytes = NO) -> bytes:
    return b"Content-Length: %d" % len(body)


class Script:
    """A server that answers the requests that come to it with these bytes, one after the other.

    A reply in pieces goes out piece by piece, with a pause before each that follows. `None` ends the connection.
    """

    def __init__(self, *replies: Answer, pause_s: float = 0.001) -> None:
        self._pause_s = pause_s
        self._replies = list(replies)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_S)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def close(self) -> None:
        for sock in (self._listener, *self.connections):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self.connections):
            sock.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while request := received(connection):
                self.requests.append(request)
                answer = self._replies.pop(0)
                for number, piece in enumerate(answer if isinstance(answer, list) else [answer]):
                    if piece is None:
                        connection.shutdown(socket.SHUT_RDWR)
                        return
                    if number:
                        time.sleep(self._pause_s)
                    connection.sendall(piece)


def received(connection: socket.socket) -> bytes:
    """The next request; empty at the end."""
    request = b""
    while b"\r\n\r\n" not in request:
        if not (data := connection.recv(65536)):
            return b""
        request += data
    head, _, body = request.partition(b"\r\n\r\n")
    missing = sum(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")) - len(body)
    while missing > 0:
        data = connection.recv(missing)
        request += data
        missing -= len(data)
    return request


@contextmanager
def scripted(*replies: Answer, **options: Any) -> Iterator[tuple[Script, TierClient]]:
    with closing(Script(*replies)) as script:
        options = {"deadline_s": PATIENCE_S} | options
        with closing(TierClient("catalog", Address("127.0.0.1", script.port), **options)) as client:
            yield script, client


def read(answer: Answer) -> TierReply:
    """The reply as a new connection reads it."""
    with closing(Script(answer)) as script, closing(TierConnection("127.0.0.1", script.port)) as connection:
        return connection.exchange(b"GET / HTTP/1.1\r\n\r\n", time.monotonic() + PATIENCE_S)


DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT"
JSON = b"Content-Type: application/json"
# Of a tier, under each of the servers that it may run under, and behind proxies.
UNDERSTOOD = {
    "our own worker": reply(DATE, JSON, length(), b"X-Content-Type-Options: nosniff"),
    "gunicorn": reply(b"Server: gunicorn", DATE, b"Connection: keep-alive", JSON, length()),
    "waitress": reply(length(), JSON, DATE, b"Server: waitress"),
    "wsgiref": reply(DATE, b"Server: WSGIServer/0.2", JSON, length(), status=b"HTTP/1.0 200 OK"),
    "nginx": reply(
        b"Server: nginx/1.29.1", DATE, JSON, length(), b"Connection: keep-alive", b"Via: 1.1 a", b"Via: 1.1 b"
    ),
    "names in lower case": reply(b"content-type:application/json", length().lower()),
    "blanks around a value": reply(b"Content-Length:\t %d \t" % len(NO), JSON + b"  "),
    "no reason": reply(length(), JSON, status=b"HTTP/1.1 200 "),
    "a reason beyond ASCII": reply(length(), JSON, status=b"HTTP/1.1 200 Tr\xe8s bien"),
    "an empty value": reply(b"X:", length(), JSON),
    "a length with zeros": reply(b"Content-Length: 0000%d" % len(NO), JSON),
    "an end of the connection": reply(length(), JSON, b"Connection: close"),
    "a long head": reply(length(), JSON, b"X: " + b"x" * (MAX_HEAD_BYTES - 200)),
}


@pytest.mark.parametrize("name", UNDERSTOOD)
@pytest.mark.parametrize("pieces", ["whole", "bytes", "head and body"])
def test_a_reply_is_understood_however_it_comes(name: str, pieces: str) -> None:
    whole = UNDERSTOOD[name]
    head_bytes = whole.index(b"\r\n\r\n") + 4
    in_pieces: dict[str, list[bytes | None]] = {
        "whole": [whole],
        "bytes": [*(whole[at : at + 1] for at in range(min(len(whole), 300))), whole[300:]],
        "head and body": [whole[:head_bytes], whole[head_bytes:]],
    }
    understood = read(in_pieces[pieces])
    assert (understood.status, understood.body) == (200, NO)
    assert understood.headers["content-type"].startswith("application/json")
    assert understood.closes is (name in ("wsgiref", "an end of the connection"))


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
def test_a_connection_is_kept_unless_its_tier_ends_it(option: bytes, closes: bool) -> None:
    answer = reply(length(YES), JSON, b"Connection: " + option, body=YES)
    with scripted(answer, answer) as (script, client):
        for _ in range(2):
            HttpCatalog(client).sell([BUY])
    assert len(script.connections) == (2 if closes else 1)


CHUNKED = b"Transfer-Encoding: chunked"
IN_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(NO), NO)
# Each with what the log is told.
REFUSED: dict[str, tuple[Answer, str]] = {
    "chunked": (reply(CHUNKED, body=IN_CHUNKS), "its reply is chunked"),
    "chunked, and a length": (reply(CHUNKED, length(IN_CHUNKS), body=IN_CHUNKS), "its reply is chunked"),
    "an unknown coding": (reply(b"Transfer-Encoding: identity", length()), "its reply is chunked"),
    "no length": (reply(JSON), "its reply does not say its length"),
    "an empty length": (reply(b"Content-Length:"), "its reply does not say its length"),
    "a negative length": (reply(b"Content-Length: -1"), "its reply does not say its length"),
    "a length with a sign": (reply(b"Content-Length: +%d" % len(NO)), "its reply does not say its length"),
    "a length with an underscore": (reply(b"Content-Length: 4_0"), "its reply does not say its length"),
    "a length in Latin-1 digits": (reply(b"Content-Length: \xb2"), "its reply does not say its length"),
    "a length in hexadecimal": (reply(b"Content-Length: 0x28"), "its reply does not say its length"),
    "two lengths that agree": (reply(length(), length()), "its reply does not say its length"),
    "two lengths that differ": (reply(length(), b"Content-Length: 1"), "its reply does not say its length"),
    "a list of lengths": (reply(b"Content-Length: %d, %d" % (len(NO), len(NO))), "its reply does not say its length"),
    "a length beyond all": (reply(b"Content-Length: " + b"9" * 5_000), "its reply does not say its length"),
    "a body that is too long": (reply(b"Content-Length: %d" % (MAX_BODY_BYTES + 1)), "its reply is too long"),
    "a head that is too long": (reply(length(), b"X: " + b"x" * MAX_HEAD_BYTES), "the head of its reply is too long"),
    "a head that does not end": ([b"x" * MAX_HEAD_BYTES], "the head of its reply is too long"),
    "more behind the body": (reply(length()) + b"\n", "it sent more than its reply"),
    "two replies": (reply(length()) * 2, "it sent more than its reply"),
    "less than its length": ([reply(b"Content-Length: %d" % (len(NO) + 1)), None], "before its reply was whole"),
    "nothing": ([None], "before its reply was whole"),
    "a word before the reply": (reply(length(), status=b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "answers 100"),
    "early hints": (reply(b"Link: </x>", b"", b"HTTP/1.1 200 OK", length(), status=b"HTTP/1.1 103 X"), "answers 103"),
    "another protocol from here on": (reply(length(), status=b"HTTP/1.1 101 Switching Protocols"), "answers 101"),
    "no content": (reply(length(), status=b"HTTP/1.1 204 No Content"), "answers 204"),
    "not modified": (reply(length(), status=b"HTTP/1.1 304 Not Modified"), "answers 304"),
    "HTTP/0.9": ([NO, None], "before its reply was whole"),
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
def fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trouble is told once in a while only, and a test may get the port of the one before."""
    monkeypatch.setattr(outages, "_logged_at", {})
    monkeypatch.setattr(outages, "_active", {})


@pytest.mark.usefixtures("fresh_log")
@pytest.mark.parametrize("name", REFUSED)
def test_a_reply_that_is_refused_leaves_a_buy_in_doubt_and_closes_its_connection(
    orders: OrderStore, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer, why = REFUSED[name]
    sold = reply(length(YES), JSON, body=YES)
    with scripted(answer, sold) as (script, client), caplog.at_level(logging.INFO):
        checkout = Checkout(orders, HttpCatalog(client, retry=False))
        with pytest.raises(Unavailable):
            checkout.place_all([BUY])
        assert orders.intents(10) == [BUY]
        assert len(script.requests) == 1, "it was a new connection, which has no dead one to replace"
        [line] = [message for message in caplog.messages if "does not answer" in message]
        assert why in line
        assert checkout.place_all([BUY]) == [0], "and the same key is asked for again"
    assert len(script.connections) == 2


def test_a_reply_that_ends_at_any_byte_is_no_answer() -> None:
    whole = reply(JSON, length())
    for end in range(len(whole)):
        with pytest.raises(ReplyRefused, match="before its reply was whole"):
            read([whole[:end], None])
    assert read([whole, None]).body == NO


def test_a_reply_of_any_status_is_read_by_its_length() -> None:
    for status in (200, 201, 206, 302, 400, 404, 409, 422, 429, 500, 503, 599):
        answer = read(reply(length(), JSON, status=b"HTTP/1.1 %d x" % status))
        assert (answer.status, answer.body) == (status, NO)


def test_the_largest_reply_of_a_tier_is_read_and_none_that_is_larger() -> None:
    body = b"x" * MAX_BODY_BYTES
    assert read(reply(length(body), body=body)).body == body
    assert MAX_PAGE_BYTES < MAX_BODY_BYTES
    product = json.dumps(["\U0001f427" * MAX_NAME_CHARACTERS, 10**11, 10**9], ensure_ascii=False)
    assert MAX_NAMES * len(product.encode()) < MAX_BODY_BYTES


def test_what_comes_behind_a_reply_is_not_taken_for_the_next_one() -> None:
    """It comes when the reply has been read: by then the connection is kept."""
    sold, other = (reply(length(YES), JSON, body=YES), reply(length(), JSON))
    with scripted(sold, sold) as (script, client):
        catalog = HttpCatalog(client, retry=False)
        catalog.sell([BUY])
        script.connections[0].sendall(other)
        assert [type(sale).__name__ for sale in catalog.sell([BUY])] == ["Sold"]
    assert len(script.connections) == 2
    assert len(script.requests) == 2, "the connection was given up before it was asked"


def test_a_refused_reply_on_a_kept_connection_is_asked_for_again_at_once() -> None:
    """Something may have been left there by the question before."""
    sold = reply(length(YES), JSON, body=YES)
    with scripted(sold, reply(CHUNKED, body=IN_CHUNKS), sold) as (script, client):
        catalog = HttpCatalog(client, retry=False)
        for _ in range(2):
            assert [type(sale).__name__ for sale in catalog.sell([BUY])] == ["Sold"]
    assert [len(script.connections), len(script.requests)] == [2, 3]


class Counting:
    """A socket that notes what is sent in each call."""

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
    """In two it would wake the tier up twice."""
    sent: list[bytes] = []
    connect = TierConnection._connect
    monkeypatch.setattr(TierConnection, "_connect", lambda self, deadline: Counting(connect(self, deadline), sent))
    longest = Buy("x" * MAX_KEY_CHARACTERS, "\U0001f427" * MAX_NAME_CHARACTERS, 1_000_000)
    sold = b'{"data": [%s]}' % b", ".join([b"1"] * MAX_BATCH)
    answers = [reply(length(sold), JSON, body=sold), reply(length(YES), JSON, body=YES)]
    with scripted(*answers) as (script, client):
        HttpCatalog(client).sell([longest] * MAX_BATCH)
        HttpCatalog(client).sell([BUY])
    assert sent == script.requests
    assert len(sent) == 2


def test_a_request_has_the_few_lines_that_a_tier_needs() -> None:
    sold = reply(length(YES), JSON, body=YES)
    with scripted(sold, secrets=Secrets(("s" * 32,))) as (script, client):
        HttpCatalog(client).sell([BUY])
    body = b'[["k", "Tux", 1]]'
    assert script.requests == [
        b"POST /v1/sales HTTP/1.1\r\n"
        b"Host: 127.0.0.1:%d\r\n"
        b"Authorization: Bearer %s\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (script.port, b"s" * 32, len(body), body)
    ]


@pytest.mark.parametrize("key", ["k\r\nX: y", "k\n", "k\r", "k\0", "\u010d\u010a", "k\x7f", "k\x85"])
def test_no_value_of_a_header_ends_its_line(key: str) -> None:
    with scripted() as (script, client), pytest.raises(ValueError):
        HttpOrders(client).order(1, key)
    assert script.requests == []


@pytest.mark.parametrize("host", ["2001:db8::7", "fe80::7%eth0", "fe80::7%a\rb"])
def test_an_ipv6_address_is_asked_for_in_brackets_and_without_its_zone(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, port, **options: real("127.0.0.1", port, **options))
    sold = reply(length(YES), JSON, body=YES)
    with (
        closing(Script(sold)) as script,
        closing(TierClient("catalog", Address(host, script.port), deadline_s=60)) as client,
    ):
        HttpCatalog(client).sell([BUY])
    assert b"\r\nHost: [%s]:%d\r\n" % (host.partition("%")[0].encode(), script.port) in script.requests[0]


def test_an_answer_in_a_reply_in_the_place_of_a_question_is_its_answer() -> None:
    with scripted(UNDERSTOOD["gunicorn"]) as (_script, client):
        assert HttpCatalog(client).sell([BUY]) == [OutOfStock()]


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"data": [' + b"9" * 5_000 + b"]}", b'{"data": [NaN]}', b"\xff\xfe"]
)
def test_a_body_that_is_no_json_of_ours_is_no_answer(body: bytes) -> None:
    with scripted(reply(length(body), JSON, body=body)) as (_script, client), pytest.raises(Unavailable):
        HttpCatalog(client, retry=False).sell([BUY])


@pytest.mark.parametrize("part", ["head", "body"])
@pytest.mark.parametrize("is_kept", [False, True])
def test_a_reply_that_trickles_ends_by_the_deadline(is_kept: bool, part: str) -> None:
    """It would be whole ten times as late, and each of its bytes would start the socket's own timeout anew."""
    body = b" " * 300
    head = {"head": reply(length(b""), b"X: " + body, body=b""), "body": reply(length(body), body=b"")}[part]
    at_once = head.index(body) if part == "head" else len(head)
    slow: list[bytes | None] = [head[:at_once], *[b" "] * len(body)]
    if part == "head":
        slow.append(head[at_once + len(body) :])
    good = reply(length(YES), body=YES)
    with (
        closing(Script(*[good] * is_kept, slow, pause_s=0.01)) as script,
        closing(TierConnection("127.0.0.1", script.port)) as connection,
    ):
        if is_kept:
            connection.exchange(b"GET / HTTP/1.1\r\n\r\n", time.monotonic() + PATIENCE_S)
        with pytest.raises(TimeoutError):
            connection.exchange(b"GET / HTTP/1.1\r\n\r\n", time.monotonic() + 0.3)
