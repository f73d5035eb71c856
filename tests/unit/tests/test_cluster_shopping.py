"""The shoppers of fault runs: they repeat a key until it is answered, and the longest gap is measured."""

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conf.addresses import Address
from tests.cluster.shopping import Shopping, longest_gap_s
from tests.support.waiting import wait_until


class Shop(BaseHTTPRequestHandler):
    """Answers each key at its second request: first in turn with a 503, a page of a proxy, and no response at all."""

    asked: Counter[str]
    numbers: dict[str, int]
    lock = threading.Lock()
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        key = str(self.headers["Idempotency-Key"])
        with self.lock:
            self.asked[key] += 1
            is_first = self.asked[key] == 1
            number = self.numbers.setdefault(key, len(self.numbers))
        if is_first and number % 3 == 2:
            self.close_connection = True
        elif is_first:
            self.reply((503, 502)[number % 3], "<h1>not now</h1>")
        else:
            self.reply(200, f'{{"data": {{"order_number": "{number}"}}}}')

    def reply(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@pytest.fixture
def shop() -> Iterator[Address]:
    Shop.asked, Shop.numbers = Counter(), {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Address("127.0.0.1", server.server_address[1])
        server.shutdown()
        thread.join()


def test_each_key_is_repeated_until_it_is_answered(shop: Address) -> None:
    shopping = Shopping(shop, 4, prefix="test", products=["Tux"], seed=1)
    shopping.start()
    wait_until("30 buys are answered", lambda: shopping.answered() >= 30)
    shopping.stop(give_up_after_s=60)
    assert shopping.unanswered() == []
    merged = shopping.history.merged()
    assert {key: buy.answers for key, buy in merged.items()} == {
        key: {str(number)} for key, number in Shop.numbers.items()
    }
    assert {0, 200, 502, 503} == set(shopping.statuses)
    assert len(shopping.answered_s) == len(merged)
    assert sum(count > 2 for count in Shop.asked.values()), "some keys are sent again after their answer"


def test_a_key_that_no_one_answers_is_told() -> None:
    shopping = Shopping(Address("127.0.0.1", 1), 2, prefix="test", products=["Tux"], seed=1)
    shopping.start()
    wait_until("each shopper has tried", lambda: len(shopping.history.merged()) == 2 or shopping.statuses[0] > 4)
    shopping.stop(give_up_after_s=0)
    assert shopping.unanswered()
    assert shopping.answered() == 0


@pytest.mark.parametrize(
    ("answered_s", "gap_s"),
    [([], 10.0), ([12.0], 8.0), ([18.0], 8.0), ([11.0, 14.0, 19.0], 5.0), ([5.0, 15.0, 25.0], 5.0)],
)
def test_the_longest_gap_counts_from_the_begin_of_the_fault_to_its_end(answered_s: list[float], gap_s: float) -> None:
    assert longest_gap_s(answered_s, 10.0, 20.0) == gap_s
