"""Shoppers who buy without a pause, and repeat each key until it is answered; some keys are sent again later."""

import http.client
import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

from conf.addresses import Address
from tests.support.history import Attempt, History

# Longer than the store's own deadlines, so that a shopper sees its 503. A frozen front end costs this much.
TIMEOUT_S = 15.0
# Between two attempts of one buy.
_PAUSE_S = (0.02, 0.2)
# A share of the buys that take the key of another buy, which may be under way at this moment.
_REPEATED = 0.1
# No answer: the buy may or may not have been made.
_NO_ANSWER = frozenset({408, 429, 500, 502, 503, 504})
# Of these, a bug of the store.
INTERNAL_ERROR = 500

Wanted = tuple[str, str, int]  # key, product, quantity


class Shopping:
    """A number of shoppers at one address, from `start` to `stop`. The `history` has every attempt."""

    def __init__(self, address: Address, shoppers: int, *, prefix: str, products: Sequence[str], seed: int) -> None:
        self.history = History()
        self.statuses: Counter[int] = Counter()
        self.answered_s: list[float] = []  # when each key had its first answer
        self._address = address
        self._shoppers = shoppers
        self._prefix = prefix
        self._products = tuple(products)
        self._seed = seed
        self._recent: deque[Wanted] = deque(maxlen=2 * shoppers)
        self._answered: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._give_up_s = float("inf")
        self._running: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(shoppers)

    def start(self) -> None:
        """Lets all shoppers begin."""
        self._running = [self._pool.submit(self._shop, number) for number in range(self._shoppers)]

    def answered(self) -> int:
        """Returns the number of keys with an answer. Raises the failure of a shopper."""
        for each in self._running:
            if each.done():
                each.result()
        return len(self.answered_s)

    def stop(self, give_up_after_s: float) -> None:
        """Waits until each shopper has the answer to the last key, or gives up. Raises the first failure."""
        self._give_up_s = time.monotonic() + give_up_after_s
        self._closing.set()
        self._pool.shutdown()
        for each in self._running:
            each.result()

    def unanswered(self) -> list[str]:
        """Returns the keys that were sent and never answered."""
        return sorted({attempt.key for attempt in self.history.attempts} - self._answered)

    def _shop(self, number: int) -> None:
        rng = random.Random(f"{self._seed} {self._prefix} {number}")
        shop = _Connection(self._address)
        turn = 0
        while not self._closing.is_set():
            if self._recent and rng.random() < _REPEATED:
                wanted = rng.choice(list(self._recent))
            else:
                turn += 1
                product = rng.choice(self._products)
                wanted = (f"{self._prefix}-{number}-{turn}", product, rng.choice((1, 1, 1, 2, 3)))
                self._recent.append(wanted)
            while not self._try(shop, wanted):
                if time.monotonic() > self._give_up_s:
                    return
                time.sleep(rng.uniform(*_PAUSE_S))
        shop.close()

    def _try(self, shop: "_Connection", wanted: Wanted) -> bool:
        """Sends a buy once. Returns whether it was answered."""
        key, product, quantity = wanted
        begun_s = time.monotonic()
        status, answer = shop.buy(key, product, quantity)
        ended_s = time.monotonic()
        self.history.attempts.append(Attempt(key, product, quantity, begun_s, ended_s, answer))
        with self._lock:
            self.statuses[status] += 1
            if answer is not None and key not in self._answered:
                self._answered.add(key)
                self.answered_s.append(ended_s)
        return answer is not None


class _Connection:
    """A connection to the shop that is kept from buy to buy, and opened again after a failure."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection = self._new()

    def buy(self, key: str, product: str, quantity: int) -> tuple[int, str | None]:
        """Returns the status, 0 without a response, and the answer: the order's number, or why it was refused."""
        try:
            self._connection.request("POST", f"/{product}/{quantity}", headers={"Idempotency-Key": key})
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            self._connection = self._new()
            return 0, None
        if response.status in _NO_ANSWER:
            return response.status, None
        decoded = json.loads(body)
        if response.status == 200:
            return 200, str(decoded["data"]["order_number"])
        return response.status, str(decoded["error"]["message"])

    def close(self) -> None:
        self._connection.close()

    def _new(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address.host, self._address.port, timeout=TIMEOUT_S)


def longest_gap_s(answered_s: Sequence[float], begun_s: float, ended_s: float) -> float:
    """Returns the longest time between two moments without an answered buy."""
    times = [begun_s, *sorted(time_s for time_s in answered_s if begun_s <= time_s <= ended_s), ended_s]
    return max(later - earlier for earlier, later in pairwise(times))
