"""Another tier, over HTTP: kept-alive connections, and a deadline for each call."""

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from conf.addresses import Address
from conf.secret import Secrets
from db import outages
from domain.errors import Unavailable
from wsgi_apps.retries import MAX_TIMES_TOLD_LATER, RetryBudget, backoff_s, parse_retry_after
from wsgi_apps.tier_connection import TierConnection

# From status, Content-Type and body to the meaning. Raises ValueError when they mean nothing.
Decode = Callable[[int, str | None, bytes], Any]
# By which a tier says that it does not accept another one, and where its operator looks.
_REFUSALS = {
    401: "does not accept this tier: is TIER_SECRET the same for both?",
    403: "does not accept this tier: is the host by which it is reached in its CATALOG_HOSTS or ORDER_HOSTS?",
}
# Of a path, where a 404 that is an answer to a question names what was not found.
_UNKNOWN = "not found"
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")

_log = logging.getLogger(__name__)


def decode_json(_status: int, _content_type: str | None, body: bytes) -> Any:
    """The JSON value in the body. Raises ValueError."""
    return json.loads(body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A tier's answer to one try. `body` is None where it is no JSON."""

    status: int
    body: Any
    retry_after_s: int | None = None

    @property
    def is_definite(self) -> bool:
        """Whether it is an answer to the question."""
        return self.status < 500 and self.body is not None

    @property
    def says_later(self) -> bool:
        """Whether the tier, or a proxy before it, cannot serve now, whatever it is asked."""
        return self.status in (502, 503, 504)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Stands in the place of an answer to a try that got none."""

    nobody_listens: bool = False


class TierClient:
    """Another tier: kept-alive connections, and a deadline for each call, within which it is asked again.

    Asking again is safe for every call of this store: a query changes nothing and a buy carries its key. It is done
    with growing pauses and within a budget (retries.py), and not before the time that a Retry-After says.
    """

    def __init__(
        self, name: str, address: Address, *, deadline_s: float, secrets: Secrets | None = None, tells_log: bool = True
    ) -> None:
        self._name = name
        self._no_answer = f"the {name} does not answer, try again"
        self._address = address
        self._deadline_s = deadline_s
        # Of every request. The zone of an IPv6 address is a name of this machine's alone.
        self._own_lines = [f"Host: {Address(address.host.partition('%')[0], address.port)}"]
        self._own_lines += [f"Authorization: {secrets.authorization}"] if secrets else []
        self._refused: str | None = None  # the path that the tier does not know, or "" when it accepts none of ours
        self._idle: list[TierConnection] = []
        self._budget = RetryBudget()
        self._where = f"the {name} at {address}"
        self._lost: str | None = None  # what the log was told when it did not answer
        self._tells_log = tells_log

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
        decode: Decode = decode_json,
        retry: bool = True,
    ) -> tuple[int, Any]:
        """Status below 500 and the reply, decoded. Raises Unavailable at the deadline, or `timeout_s` if sooner.

        It raises sooner where asking again would not help: not `retry`; the tier does not know our secret, or the path;
        it wants to be left alone for longer than the deadline, or says so once too often; its answer is none to the
        question, for which `decode` raises ValueError. The `body` is JSON.
        """
        headers = headers or {}
        deadline = time.monotonic() + (self._deadline_s if timeout_s is None else min(self._deadline_s, timeout_s))
        self._budget.deposit()
        answer: Answer | NoAnswer = NoAnswer()
        times_told_later = 0
        for retry_number in count():
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                break
            # Half of the time at most for one try: a connection that died in silence must not take it all.
            timeout_s = min(remaining_s, self._deadline_s / 2) if retry else remaining_s
            answer = self._ask(method, path, headers, body, timeout_s, decode)
            if isinstance(answer, Answer):
                if answer.is_definite:
                    self._require_acceptance(path, answer)
                    return answer.status, answer.body
                times_told_later += not answer.retry_after_s
                if not answer.says_later or times_told_later == MAX_TIMES_TOLD_LATER:
                    break
            if not retry or not self._pause(answer, retry_number, deadline):
                break
        raise self._unavailable(answer)

    def require_ready(self, timeout_s: float) -> None:
        """Ask once whether the tier is ready. Raises Unavailable, which tells why it is not."""
        answer = self._ask("GET", "/ready", {}, None, timeout_s, decode_json)
        if isinstance(answer, NoAnswer):
            raise Unavailable("does not answer")
        if not answer.is_definite:
            raise Unavailable(_message(answer))

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            connection.close()

    def _pause(self, answer: Answer | NoAnswer, retry_number: int, deadline: float) -> bool:
        """Wait before the tier is asked again; False if it is not to be."""
        remaining_s = deadline - time.monotonic()
        pause_s = backoff_s(retry_number, nobody_listens=isinstance(answer, NoAnswer) and answer.nobody_listens)
        if isinstance(answer, Answer) and answer.retry_after_s is not None:
            pause_s = max(pause_s, answer.retry_after_s)
            if pause_s >= remaining_s:
                return False
        token_s = self._budget.withdraw(timeout_s=max(0.0, remaining_s))
        if token_s is None:
            token_s = remaining_s  # the deadline is the caller's, who may have others to ask for again then
        time.sleep(max(0.0, min(max(pause_s, token_s), remaining_s)))
        return True

    def _unavailable(self, answer: Answer | NoAnswer) -> Unavailable:
        """The error for a call that came to nothing, by its last answer."""
        if isinstance(answer, NoAnswer):
            return Unavailable(self._no_answer, retry_after_s=1)
        retry_after_s = max(1, answer.retry_after_s or 1) if answer.says_later else None
        return Unavailable(self._no_answer, retry_after_s)

    def _tell_lost(self, why: str) -> None:
        """One line, whatever else is tried and fails until the tier is found again."""
        self._lost = self._lost or f"{self._where} does not answer: {why}"
        if self._tells_log:
            outages.log_start(self._where, self._lost)

    def _tell_found(self) -> None:
        self._lost = None
        outages.log_end(self._where, f"{self._where} answers again")

    def _require_acceptance(self, path: str, answer: Answer) -> None:
        """Raises Unavailable when the tier does not accept us, or the path, and tells the log when that begins."""
        subject, why = "", _REFUSALS.get(answer.status)
        if answer.status == 404 and _message(answer) == _UNKNOWN:
            subject, why = path, f"does not know {path}: it is of another release; upgrade all, those behind first"
        if why is not None:
            if self._refused is None:
                self._refused = subject
                _log.error("the %s %s", self._name, why)
            raise Unavailable(self._no_answer, retry_after_s=1)
        if self._refused in ("", path):
            self._refused = None

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float, decode: Decode
    ) -> Answer | NoAnswer:
        """One try.

        A kept connection may have died since. Then the try is made on a new one, at once.
        """
        request = self._encode(method, path, headers, body)
        connection, is_kept = self._connection()
        deadline = time.monotonic() + timeout_s
        try:
            reply = connection.exchange(request, deadline)
        except OSError as error:
            connection.close()
            self.close()  # the others are as old as this one, and as dead when the tier has restarted
            remaining_s = deadline - time.monotonic()
            if is_kept and remaining_s > 0 and not isinstance(error, TimeoutError):
                return self._ask(method, path, headers, body, remaining_s, decode)
            self._tell_lost(_why(error))
            return NoAnswer(nobody_listens=isinstance(error, ConnectionRefusedError))
        if self._lost is not None:
            self._tell_found()
        if reply.closes:
            connection.close()
        else:
            self._idle.append(connection)
        retry_after = reply.headers.get("retry-after") if reply.status >= 500 else None
        try:
            meaning = decode(reply.status, reply.headers.get("content-type"), reply.body)
        except (ValueError, RecursionError):
            meaning = None
        return Answer(reply.status, meaning, parse_retry_after(retry_after))

    def _encode(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        """The request. Raises ValueError for a header that could end its line, and be another one behind it."""
        lines = [f"{method} {path} HTTP/1.1", *self._own_lines]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if any(map(_CONTROL_CHARACTER.search, lines)):
            raise ValueError(f"a control character in the head of a call to the {self._name}")
        return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")

    def _connection(self) -> tuple[TierConnection, bool]:
        """A kept connection, or a new one; and whether it is kept. list.pop is atomic: no two threads get the same."""
        try:
            return self._idle.pop(), True
        except IndexError:
            return TierConnection(self._address.host, self._address.port), False


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return error.strerror or str(error) or type(error).__name__


def _message(answer: Answer) -> str:
    try:
        return str(answer.body["error"]["message"])
    except (LookupError, TypeError):
        return f"answers {answer.status}"
