"""An owner who gives orders back, repeats each return under its key until it is answered, and records every attempt."""

import random
import threading
import time

import requests

from domain.returns import Return, Returned
from tests.support.history import History
from tests.support.return_history import ReturnAttempt
from wsgi_apps import wire
from wsgi_apps.bearer_auth import encode_authorization

SECRET = "the-secret-of-the-owner-in-the-fault-tests"
# The newest orders, of which an owner gives pieces back: so few that one order is often given back twice.
RECENT_ORDERS = 40


class Owner:
    """Sends returns to an order tier, and records them in a history. Any thread may call it.

    Raises AssertionError when a return has no answer within `deadline_s`. A request without a response within
    `timeout_s` counts as lost, and is repeated. `returned` has the keys of the logged returns, `statuses` all statuses
    of responses.
    """

    def __init__(self, url: str, history: History, *, deadline_s: float, timeout_s: float = 10.0) -> None:
        self.history = history
        self.returned: set[str] = set()
        self.statuses: set[int] = set()
        self._url = url
        self._deadline_s = deadline_s
        self._timeout_s = timeout_s
        self._lock = threading.Lock()

    def give_back(self, session: requests.Session, asked: Return) -> None:
        """Sends a return, and again under its key after a lost response or a 503, until it is answered."""
        begun = time.monotonic()
        while not self._try(session, asked):
            waited = time.monotonic() - begun
            assert waited < self._deadline_s, f"the return {asked.key} has no answer after {waited:.1f} s"
            time.sleep(0.05)

    def _try(self, session: requests.Session, asked: Return) -> bool:
        """Sends the return once. Returns whether it was answered."""
        begun = time.monotonic()
        answer: Returned | str | None = None
        try:
            response = session.post(
                f"{self._url}/orders/{asked.number}/returns",
                data=wire.encode_return(asked),
                headers={"Idempotency-Key": asked.key, "Authorization": encode_authorization(SECRET)},
                timeout=self._timeout_s,
            )
            with self._lock:
                self.statuses.add(response.status_code)
            if response.status_code == 200:
                answer = wire.decode_returned(response.json()["data"])
                with self._lock:
                    self.returned.add(asked.key)
            elif response.status_code not in (429, 503):
                answer = str(response.json()["error"]["message"])
        except (requests.ConnectionError, requests.Timeout):
            pass
        self.history.return_attempts.append(
            ReturnAttempt(asked.key, asked.number, asked.quantity, begun, time.monotonic(), answer)
        )
        return answer is not None


def new_or_sent_return(history: History, key: str, rng: random.Random) -> Return | None:
    """Returns a new return, or one that was answered before, as a second click would send it."""
    answered = [one for one in history.return_attempts[-RECENT_ORDERS:] if one.answer is not None]
    if answered and rng.random() < 0.2:
        again = rng.choice(answered)
        return Return(again.key, again.number, again.quantity)
    return new_return(history, key, rng)


def new_return(history: History, key: str, rng: random.Random) -> Return | None:
    """Returns a return of some pieces of a recent order, or of more than are left; None before the first order."""
    recent = [one.answer for one in history.attempts[-4 * RECENT_ORDERS :] if one.answer and one.answer.isdigit()]
    if not recent:
        return None
    return Return(key, int(rng.choice(recent[-RECENT_ORDERS:])), rng.choice((None, 1, 1, 1, 2, 7)))
