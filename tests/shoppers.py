"""Shoppers who repeat a key until they have its answer, and write down what they were told."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

PATIENCE_S = 10.0


class Shoppers:
    """Sends buys to a front end. `replies` has every answer that each key got, `worst_s` the longest wait for one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.replies: dict[str, set[str]] = {}
        self.statuses: set[int] = set()
        self.resets = 0
        self.worst_s = 0.0
        self._lock = threading.Lock()

    def buy(self, session: requests.Session, key: str, product: str, quantity: int) -> None:
        """Buy, patiently: repeat the key after a reset or a 503, for PATIENCE_S."""
        begun = time.monotonic()
        while True:
            answer = self._try(session, key, product, quantity)
            waited = time.monotonic() - begun
            if answer is not None:
                break
            assert waited < PATIENCE_S, f"{key} has no answer after {waited:.1f} s"
            time.sleep(0.05)
        with self._lock:
            self.replies.setdefault(key, set()).add(answer)
            self.worst_s = max(self.worst_s, waited)

    def _try(self, session: requests.Session, key: str, product: str, quantity: int) -> str | None:
        try:
            response = session.post(
                f"{self.url}/{product}/{quantity}", headers={"Idempotency-Key": key}, timeout=PATIENCE_S
            )
        except requests.ConnectionError:
            with self._lock:
                self.resets += 1
            return None
        with self._lock:
            self.statuses.add(response.status_code)
        if response.status_code == 503:
            return None
        body = response.json()
        return str(body["data"]["order_number"]) if response.status_code == 200 else str(body["error"]["message"])

    def share(self, buys: list[tuple[str, str, int]], clients: int, meanwhile: Callable[[], None]) -> None:
        """Place all buys, split among `clients` at once, while `meanwhile` runs; raises the first failure."""
        with ThreadPoolExecutor(clients) as pool:
            shares = [pool.submit(self._one, buys[number::clients]) for number in range(clients)]
            meanwhile()
            for share in shares:
                share.result()

    def wait_until_answered(self, keys: int) -> None:
        """Return once so many keys have an answer."""
        deadline = time.monotonic() + 60
        while len(self.replies) < keys:
            assert time.monotonic() < deadline, f"only {len(self.replies)} keys have an answer"
            time.sleep(0.002)

    def _one(self, buys: list[tuple[str, str, int]]) -> None:
        with session() as shop:
            for key, product, quantity in buys:
                self.buy(shop, key, product, quantity)


@contextmanager
def session() -> Iterator[requests.Session]:
    """A session that no proxy setting of this machine disturbs."""
    with requests.Session() as shop:
        shop.trust_env = False
        yield shop
