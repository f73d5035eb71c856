"""Shoppers that repeat each buy under its key until it is answered, and record every attempt in a history."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

from tests.support.history import Attempt, History
from tests.support.waiting import wait_until

# The longest time that a buy may take, with all its repetitions.
DEADLINE_S = 10.0


class Shoppers:
    """Sends buys to a front end, and raises AssertionError when one has no answer within `deadline_s`.

    A request without a response within `timeout_s` counts as a reset, and is repeated. `answered` has the keys with an
    answer, `statuses` all statuses of responses, and `worst_s` the longest time that a buy took.
    """

    def __init__(self, url: str, *, deadline_s: float = DEADLINE_S, timeout_s: float = DEADLINE_S) -> None:
        self.url = url
        self.history = History()
        self.answered: set[str] = set()
        self.statuses: set[int] = set()
        self.resets = 0
        self.worst_s = 0.0
        self._deadline_s = deadline_s
        self._timeout_s = timeout_s
        self._lock = threading.Lock()

    def buy(self, session: requests.Session, key: str, product: str, quantity: int) -> None:
        """Sends a buy, and again under its key after a reset, a 429 or a 503, until it is answered."""
        begun = time.monotonic()
        while not self._try(session, key, product, quantity):
            waited = time.monotonic() - begun
            assert waited < self._deadline_s, f"{key} has no answer after {waited:.1f} s"
            time.sleep(0.05)
        with self._lock:
            self.worst_s = max(self.worst_s, time.monotonic() - begun)
            self.answered.add(key)

    def _try(self, session: requests.Session, key: str, product: str, quantity: int) -> bool:
        """Sends the buy once. Returns whether it was answered."""
        begun, answer = time.monotonic(), None
        try:
            response = session.post(
                f"{self.url}/{product}/{quantity}", headers={"Idempotency-Key": key}, timeout=self._timeout_s
            )
            with self._lock:
                self.statuses.add(response.status_code)
            if response.status_code == 200:
                answer = str(response.json()["data"]["order_number"])
            elif response.status_code not in (429, 503):
                answer = str(response.json()["error"]["message"])
        except (requests.ConnectionError, requests.Timeout):
            with self._lock:
                self.resets += 1
        self.history.attempts.append(Attempt(key, product, quantity, begun, time.monotonic(), answer))
        return answer is not None

    def share(self, buys: list[tuple[str, str, int]], clients: int, meanwhile: Callable[[], None]) -> None:
        """Sends all buys, split among `clients` threads, while `meanwhile` runs. Raises the first failure."""
        with ThreadPoolExecutor(clients) as pool:
            shares = [pool.submit(self._buy_all, buys[number::clients]) for number in range(clients)]
            meanwhile()
            for share in shares:
                share.result()

    def wait_until_answered(self, keys: int) -> None:
        """Waits until that many keys have an answer."""
        wait_until(
            f"{keys} keys have an answer",
            lambda: len(self.answered) >= keys,
            every_s=0.002,
            details=lambda: f"{len(self.answered)} have one",
        )

    def _buy_all(self, buys: list[tuple[str, str, int]]) -> None:
        with session() as shop:
            for key, product, quantity in buys:
                self.buy(shop, key, product, quantity)


@contextmanager
def session() -> Iterator[requests.Session]:
    """Yields a requests session that ignores the proxy settings of this machine."""
    with requests.Session() as shop:
        shop.trust_env = False
        yield shop
