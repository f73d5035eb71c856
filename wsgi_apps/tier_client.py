"""The HTTP client of a tier: keeps connections open, gives each call a deadline, and retries until then."""

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from db import outages
from domain.errors import Unavailable
from wsgi_apps.retries import MAX_UNAVAILABLE_REPLIES, RetryBudget, backoff_s, parse_retry_after
from wsgi_apps.tier_connection import MAX_BODY_BYTES, MAX_OWNERS_BODY_BYTES, TierConnection
from wsgi_apps.wire import RETURNS

# Decodes a reply from its status, Content-Type and body. Raises ValueError for one that is no answer to the question.
Decode = Callable[[int, str | None, bytes], Any]
# The log line for each status by which a tier rejects another tier, or the owner. It says which setting to check.
_REJECTIONS = {
    401: "does not accept this tier: is TIER_SECRET the same for both?",
    403: "does not accept this tier: is the host by which it is reached in its CATALOG_HOSTS or ORDER_HOSTS?",
}
_REJECTIONS_OF_OWNER = {
    401: "does not accept the owner: set the same OWNER_SECRET at catalog, order tier and back office",
    403: "does not accept the owner: set its OWNER_SECRET, the same at catalog, order tier and back office; or is the "
    "host by which it is reached not in its CATALOG_HOSTS or ORDER_HOSTS?",
}
# A tier that knows no owner asks for what the other one does for the owner alone.
_REJECTION_WITHOUT_OWNER = "takes back for the owner alone: set its OWNER_SECRET at the order tier, too"
# The message of a 404 for an unknown path. A 404 that answers a question has another message.
_UNKNOWN = "not found"
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")

_log = logging.getLogger(__name__)


def decode_json(_status: int, _content_type: str | None, body: bytes) -> Any:
    """Decodes a reply of JSON. Raises ValueError."""
    return json.loads(body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A tier's answer to one try. `body` is None when it could not be decoded."""

    status: int
    body: Any
    retry_after_s: int | None = None

    @property
    def is_definite(self) -> bool:
        """Whether it answers the question."""
        return self.status < 500 and self.body is not None

    @property
    def is_unavailable(self) -> bool:
        """Whether the tier, or a proxy in front of it, cannot serve any request now."""
        return self.status in (502, 503, 504)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The result of a try without an answer."""

    is_refused: bool = False  # the connection was refused, because no process listens


class TierClient:
    """Calls a tier over kept connections, and retries within the deadline of the call.

    A retry is safe for every call of this store: a query changes nothing, and a buy has its idempotency key. Retries
    come with exponential backoff, within a budget (retries.py), and not before the time in a Retry-After.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        *,
        deadline_s: float,
        authorization: str | None = None,
        logs_outages: bool = True,
        for_owner: bool = False,
    ) -> None:
        """Makes no connection yet. With `for_owner` the authorization is the owner's, who is told why a call fails."""
        self._name = name
        self._no_answer = f"the {name} does not answer, try again"
        self._host, self._port = host, port
        self._deadline_s = deadline_s
        # Header lines of every request. The zone of an IPv6 address (after the %) has a meaning on this machine only.
        self._own_lines = [f"Host: {_authority(host.partition('%')[0], port)}"]
        self._own_lines += [f"Authorization: {authorization}"] if authorization else []
        # The path that the tier does not know, or "" when it rejects every call; None while it accepts all.
        self._rejected_path: str | None = None
        self._idle: list[TierConnection] = []
        self._budget = RetryBudget()
        self._where = f"the {name} at {_authority(host, port)}"
        self._lost: str | None = None  # the log line of the outage, while it lasts
        self._logs_outages = logs_outages
        self._for_owner = for_owner
        self._max_body_bytes = MAX_OWNERS_BODY_BYTES if for_owner else MAX_BODY_BYTES

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
        """Returns the status, which is below 500, and the decoded reply. Raises Unavailable.

        It raises at the deadline, or after `timeout_s` if that is sooner. It raises earlier when there is no use in a
        retry: the tier rejects our secret or the path, its Retry-After is after the deadline, it has answered 502, 503
        or 504 too often, or `decode` raises ValueError. Without `retry` there is one try. The `body` is JSON.
        """
        headers = headers or {}
        deadline = time.monotonic() + (self._deadline_s if timeout_s is None else min(self._deadline_s, timeout_s))
        self._budget.deposit()
        answer: Answer | NoAnswer = NoAnswer()
        unavailable_replies = 0  # without a Retry-After
        for retry_number in count():
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                break
            # One try gets at most half of the deadline: a connection that died in silence must not take all of it.
            try_timeout_s = min(remaining_s, self._deadline_s / 2) if retry else remaining_s
            answer = self.ask_once(method, path, headers, body, try_timeout_s, decode)
            if isinstance(answer, Answer):
                if answer.is_definite:
                    self._require_acceptance(path, answer)
                    return answer.status, answer.body
                unavailable_replies += not answer.retry_after_s
                if not answer.is_unavailable or unavailable_replies == MAX_UNAVAILABLE_REPLIES:
                    break
            if not retry or not self._pause(answer, retry_number, deadline):
                break
        raise self._unavailable(answer)

    def require_ready(self, timeout_s: float) -> None:
        """Asks once whether the tier is ready. Raises Unavailable with the reason."""
        answer = self.ask_once("GET", "/ready", {}, None, timeout_s, decode_json)
        if isinstance(answer, NoAnswer):
            raise Unavailable("does not answer")
        if not answer.is_definite:
            raise Unavailable(_message(answer))

    def close(self) -> None:
        """Closes the idle connections."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            connection.close()

    def _pause(self, answer: Answer | NoAnswer, retry_number: int, deadline: float) -> bool:
        """Waits before a retry. Returns False when the call must not be retried."""
        remaining_s = deadline - time.monotonic()
        pause_s = backoff_s(retry_number, is_refused=isinstance(answer, NoAnswer) and answer.is_refused)
        if isinstance(answer, Answer) and answer.retry_after_s is not None:
            pause_s = max(pause_s, answer.retry_after_s)
            if pause_s >= remaining_s:
                return False
        token_s = self._budget.withdraw(timeout_s=max(0.0, remaining_s))
        if token_s is None:
            token_s = remaining_s  # the call fails at its deadline; a Batcher repeats it for callers with time left
        time.sleep(max(0.0, min(max(pause_s, token_s), remaining_s)))
        return True

    def _unavailable(self, answer: Answer | NoAnswer) -> Unavailable:
        """Returns the error of a call that failed, by its last answer."""
        if isinstance(answer, NoAnswer):
            return Unavailable(self._no_answer, retry_after_s=1)
        retry_after_s = (answer.retry_after_s or 1) if answer.is_unavailable else None
        says_why = self._for_owner and answer.status == 503 and answer.body is not None
        return Unavailable(_message(answer) if says_why else self._no_answer, retry_after_s)

    def _log_lost(self, why: str) -> None:
        """Logs that the tier is lost, once until it answers again."""
        self._lost = self._lost or f"{self._where} does not answer: {why}"
        if self._logs_outages:
            outages.log_start(self._where, self._lost)

    def _log_found(self) -> None:
        """Logs that the tier answers again."""
        self._lost = None
        outages.log_end(self._where, f"{self._where} answers again")

    def _require_acceptance(self, path: str, answer: Answer) -> None:
        """Raises Unavailable when the tier rejects this tier or the path. Logs when that begins."""
        rejections = _REJECTIONS_OF_OWNER if self._for_owner else _REJECTIONS
        rejected, why = "", rejections.get(answer.status)
        if why is not None and path == RETURNS and not self._for_owner:
            rejected, why = path, _REJECTION_WITHOUT_OWNER
        if answer.status == 404 and _message(answer) == _UNKNOWN:
            rejected, why = path, f"does not know {path}: it is of another release; upgrade all, those behind first"
        if why is not None:
            # After one path, the rejection of all is news.
            if self._rejected_path is None or (self._rejected_path and not rejected):
                self._rejected_path = rejected
                _log.error("the %s %s", self._name, why)
            raise Unavailable(f"the {self._name} {why}" if self._for_owner else self._no_answer, retry_after_s=1)
        if self._rejected_path in ("", path):
            self._rejected_path = None

    def ask_once(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float, decode: Decode
    ) -> Answer | NoAnswer:
        """Makes one try. A client on another HTTP library overrides this method (bench/peers/transports.py).

        When a kept connection has died meanwhile, the try is repeated at once on a new connection.
        """
        request = self._encode(method, path, headers, body)
        connection, is_kept = self._connection()
        deadline = time.monotonic() + timeout_s
        try:
            reply = connection.exchange(request, deadline)
        except OSError as error:
            connection.close()
            self.close()  # the other kept connections are dead as well when the tier has restarted
            remaining_s = deadline - time.monotonic()
            if is_kept and remaining_s > 0 and not isinstance(error, TimeoutError):
                return self.ask_once(method, path, headers, body, remaining_s, decode)
            self._log_lost(_why(error))
            return NoAnswer(is_refused=isinstance(error, ConnectionRefusedError))
        if self._lost is not None:
            self._log_found()
        if reply.closes:
            connection.close()
        else:
            self._idle.append(connection)
        retry_after = reply.headers.get("retry-after") if reply.status >= 500 else None
        try:
            decoded = decode(reply.status, reply.headers.get("content-type"), reply.body)
        except (ValueError, RecursionError):
            decoded = None
        return Answer(reply.status, decoded, parse_retry_after(retry_after))

    def _encode(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        """Encodes a request. Raises ValueError for a control character, which could end a header and begin another."""
        lines = [f"{method} {path} HTTP/1.1", *self._own_lines]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if any(map(_CONTROL_CHARACTER.search, lines)):
            raise ValueError(f"a control character in the head of a call to the {self._name}")
        return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")

    def _connection(self) -> tuple[TierConnection, bool]:
        """Returns a connection, and whether it is a kept one. list.pop is atomic, so no two threads get the same."""
        try:
            return self._idle.pop(), True
        except IndexError:
            return TierConnection(self._host, self._port, self._max_body_bytes), False


def _authority(host: str, port: int) -> str:
    """Returns host and port in the form of a URL and of a Host header."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _why(error: OSError) -> str:
    """Returns the reason of an error for a log line."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return error.strerror or str(error) or type(error).__name__


def _message(answer: Answer) -> str:
    """Returns the message of an error reply, or its status when it has none."""
    try:
        return str(answer.body["error"]["message"])
    except (LookupError, TypeError):
        return f"answers {answer.status}"
