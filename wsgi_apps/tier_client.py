"""The HTTP client of a tier: keeps connections open, gives each call a deadline, and retries until then.

Of several addresses it uses those that answer, see tier_addresses.py. A call without an answer goes on at another one.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import count
from typing import Any

from db import outages
from domain.errors import Unavailable
from wsgi_apps.retries import MAX_UNAVAILABLE_REPLIES, RetryBudget, backoff_s, parse_retry_after
from wsgi_apps.tier_addresses import TierAddress, TierAddresses
from wsgi_apps.tier_connection import MAX_BODY_BYTES, MAX_OWNERS_BODY_BYTES
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
_ALL_REJECTIONS = {401, 403, 404}
# The message of a 404 for an unknown path. A 404 that answers a question has another message.
_UNKNOWN = "not found"
# The timeout of a probe of an address that is left out: longer than a tier takes to answer that it is not ready.
PROBE_TIMEOUT_S = 2.5
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
    come with exponential backoff, within a budget (retries.py), and not before the time in a Retry-After. A call that
    found one address dead goes on at another one without a pause, for the dead one then gets no further calls.
    """

    def __init__(
        self,
        name: str,
        addresses: Sequence[tuple[str, int]],
        *,
        deadline_s: float,
        authorization: str | None = None,
        logs_outages: bool = True,
        for_owner: bool = False,
    ) -> None:
        """Makes no connection yet. An address is a host and a port.

        With `for_owner` the authorization is the owner's, who is told why a call fails.
        """
        self._name = name
        self._no_answer = f"the {name} does not answer, try again"
        self._deadline_s = deadline_s
        self._own_lines = [f"Authorization: {authorization}"] if authorization else []
        self._budget = RetryBudget()
        self._logs_outages = logs_outages
        self._for_owner = for_owner
        max_body_bytes = MAX_OWNERS_BODY_BYTES if for_owner else MAX_BODY_BYTES
        self._addresses = TierAddresses(name, addresses, max_body_bytes, self._is_ready)

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
        or 504 too often, or `decode` raises ValueError. Without `retry` each address gets one try at most. The `body`
        is JSON.
        """
        headers = headers or {}
        deadline = time.monotonic() + (self._deadline_s if timeout_s is None else min(self._deadline_s, timeout_s))
        self._budget.deposit()
        answer: Answer | NoAnswer = NoAnswer()
        unavailable_replies = 0  # without a Retry-After
        for retry_number in count():
            if time.monotonic() >= deadline:
                break
            answer = self._ask_any(method, path, headers, body, deadline, decode, retry=retry)
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
        """Asks each address once, at the same time. Raises Unavailable with the reasons when none is ready."""
        addresses = self._addresses.all
        if len(addresses) == 1:
            why = self._why_not_ready(addresses[0], timeout_s)
            if why is not None:
                raise Unavailable(why)
            return
        pool = ThreadPoolExecutor(len(addresses), "ready")
        asked = {pool.submit(self._why_not_ready, address, timeout_s): address for address in addresses}
        pool.shutdown(wait=False)
        for done in as_completed(asked):
            if done.result() is None:
                return
        reasons = [f"{address.text} {asking.result()}" for asking, address in asked.items()]
        raise Unavailable(", ".join(reasons))

    def close(self) -> None:
        """Closes the idle connections."""
        self._addresses.close()

    def _ask_any(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
        decode: Decode,
        *,
        retry: bool,
    ) -> Answer | NoAnswer:
        """Asks an address, and others as long as each cannot serve. Returns the last answer."""
        tried: list[TierAddress] = []
        while True:
            address = self._addresses.choose(tried)
            tried.append(address)
            remaining_s = deadline - time.monotonic()
            # One try gets at most half of the deadline: a connection that died in silence must not take all of it.
            if self._addresses.has_other(tried):
                try_timeout_s = remaining_s / 2
            else:
                try_timeout_s = min(remaining_s, self._deadline_s / 2) if retry else remaining_s
            address.busy.append(None)
            try:
                answer = self.ask_once(address, method, path, headers, body, try_timeout_s, decode)
            finally:
                address.busy.pop()
            if not self._is_at_fault(address, path, answer) or not self._goes_on(answer, tried, deadline):
                return answer

    def _is_at_fault(self, address: TierAddress, path: str, answer: Answer | NoAnswer) -> bool:
        """Whether another address may serve better. Leaves this one out then, and otherwise brings it back."""
        if isinstance(answer, NoAnswer):
            address.leave_out()
        elif answer.is_unavailable:
            address.leave_out(at_least_s=answer.retry_after_s or 0)
        elif self._is_rejected(address, path, answer):
            address.leave_out()
        else:
            if address.failures:
                address.failures = 0
                address.bring_back()
            return False
        return True

    def _goes_on(self, answer: Answer | NoAnswer, tried: Sequence[TierAddress], deadline: float) -> bool:
        """Whether the call goes on at another address now. After an answer this takes a token of the budget."""
        if not self._addresses.has_other(tried) or time.monotonic() >= deadline:
            return False
        return isinstance(answer, NoAnswer) or self._budget.withdraw(timeout_s=0) is not None

    def _is_ready(self, address: TierAddress) -> bool:
        return self._why_not_ready(address, PROBE_TIMEOUT_S) is None

    def _why_not_ready(self, address: TierAddress, timeout_s: float) -> str | None:
        """Asks an address once whether it is ready. Returns the reason if it is not."""
        answer = self.ask_once(address, "GET", "/ready", {}, None, timeout_s, decode_json)
        if isinstance(answer, NoAnswer):
            return "does not answer"
        return None if answer.is_definite else _message(answer)

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

    def _log_lost(self, address: TierAddress, why: str) -> None:
        """Logs that the tier does not answer at this address, once until it answers again."""
        address.lost = address.lost or f"{address.where} does not answer: {why}"
        if self._logs_outages:
            outages.log_start(address.where, address.lost)

    def _log_found(self, address: TierAddress) -> None:
        """Logs that the tier answers again."""
        address.lost = None
        outages.log_end(address.where, f"{address.where} answers again")

    def _rejection(self, path: str, answer: Answer) -> tuple[str, str] | None:
        """Returns what the tier rejects, the path or "" for every call, and why; None when it accepts."""
        if answer.status not in _ALL_REJECTIONS:
            return None
        if answer.status == 404:
            why = f"does not know {path}: it is of another release; upgrade all, those behind first"
            return (path, why) if _message(answer) == _UNKNOWN else None
        if path == RETURNS and not self._for_owner:
            return path, _REJECTION_WITHOUT_OWNER
        return "", (_REJECTIONS_OF_OWNER if self._for_owner else _REJECTIONS)[answer.status]

    def _is_rejected(self, address: TierAddress, path: str, answer: Answer) -> bool:
        """Whether the tier rejects this tier or the path. Logs when that begins."""
        rejection = self._rejection(path, answer)
        if rejection is None:
            if address.rejected_path in ("", path):
                address.rejected_path = None
            return False
        rejected, why = rejection
        # After one path, the rejection of all is news.
        if address.rejected_path is None or (address.rejected_path and not rejected):
            address.rejected_path = rejected
            _log.error("%s %s", address.where if len(self._addresses.all) > 1 else f"the {self._name}", why)
        return True

    def _require_acceptance(self, path: str, answer: Answer) -> None:
        """Raises Unavailable when the tier rejects this tier or the path."""
        rejection = self._rejection(path, answer)
        if rejection is not None:
            raise Unavailable(
                f"the {self._name} {rejection[1]}" if self._for_owner else self._no_answer, retry_after_s=1
            )

    def ask_once(
        self,
        address: TierAddress,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        decode: Decode,
    ) -> Answer | NoAnswer:
        """Makes one try. A client on another HTTP library overrides this method (bench/peers/transports.py).

        When a kept connection has died meanwhile, the try is repeated at once on a new connection.
        """
        request = self._encode(address, method, path, headers, body)
        connection, is_kept = address.connection()
        deadline = time.monotonic() + timeout_s
        try:
            reply = connection.exchange(request, deadline)
        except OSError as error:
            connection.close()
            address.close()  # the other kept connections are dead as well when the tier has restarted
            remaining_s = deadline - time.monotonic()
            if is_kept and remaining_s > 0 and not isinstance(error, TimeoutError):
                return self.ask_once(address, method, path, headers, body, remaining_s, decode)
            self._log_lost(address, _why(error))
            return NoAnswer(is_refused=isinstance(error, ConnectionRefusedError))
        if address.lost is not None:
            self._log_found(address)
        if reply.closes:
            connection.close()
        else:
            address.keep(connection)
        retry_after = reply.headers.get("retry-after") if reply.status >= 500 else None
        try:
            decoded = decode(reply.status, reply.headers.get("content-type"), reply.body)
        except (ValueError, RecursionError):
            decoded = None
        return Answer(reply.status, decoded, parse_retry_after(retry_after))

    def _encode(
        self, address: TierAddress, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        """Encodes a request. Raises ValueError for a control character, which could end a header and begin another."""
        lines = [f"{method} {path} HTTP/1.1", address.host_line, *self._own_lines]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if any(map(_CONTROL_CHARACTER.search, lines)):
            raise ValueError(f"a control character in the head of a call to the {self._name}")
        return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")


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
