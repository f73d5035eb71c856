"""Calls that travel together: those that arrive while one is under way go as one in the next.

One HTTP hop costs more than the SQL behind it, and one fsync more than ten rows, so those who wait anyway share them.
"""

import copy
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, Protocol, TypeVar

from domain.errors import StoreError, Unavailable

Q = TypeVar("Q")
Q_contra = TypeVar("Q_contra", contravariant=True)
A = TypeVar("A")

# Of one Batcher, over all its callers. A caller more is told to come back later, at once.
MAX_WAITING = 1_024

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Caller(Generic[Q, A]):
    """Who asks: its questions, until when it waits (monotonic clock), and the answers to come."""

    questions: Sequence[Q]
    deadline: float
    answers: "Future[Sequence[A]]" = field(default_factory=Future)

    @property
    def remaining_s(self) -> float:
        return self.deadline - time.monotonic()

    def fail(self, error: Exception) -> None:
        # A copy, for the callers of a failed batch raise it at the same time, each with its own traceback.
        self.answers.set_exception(copy.copy(error))


class Asker(Protocol[Q_contra, A]):
    """Answers questions by calls, joined or not."""

    def ask(self, questions: Sequence[Q_contra]) -> "Future[Sequence[A]]":
        """The answers to come. Raises Unavailable at once when too many wait already."""


class BatcherFactory(Protocol):
    """The constructor of Batcher. Apps take it as a parameter: a benchmark passes one that joins no calls."""

    def __call__(
        self,
        call: Callable[[Sequence[Q], float], Sequence[A]],
        *,
        max_batch_size: int,
        timeout_s: float,
        linger_s: float = 0.0,
        max_in_flight: int = 1,
    ) -> Asker[Q, A]: ...


class Batcher(Generic[Q, A]):
    """Joins many calls into few.

    `call` gets the questions of all who wait, and the seconds within which it must return an answer to each, in their
    order, or raise Unavailable. It runs in threads of this object, for at most `max_in_flight` batches at a time.

    No answer is older than its question: a caller joins only a call that starts after it came. Nobody waits longer
    than `timeout_s`: a call has the time that is left to the most impatient of its batch, and when that runs out, those
    who have time left go to the head of the line again.

    A larger batch is cheaper for each, so a call that follows one with company waits up to `linger_s` for as many to
    come again. A lone caller never waits.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Q], float], Sequence[A]],
        *,
        max_batch_size: int,
        timeout_s: float,
        linger_s: float = 0.0,
        max_in_flight: int = 1,
    ) -> None:
        self._call = call
        self._max_batch_size = max_batch_size
        self._timeout_s = timeout_s
        self._linger_s = linger_s
        self._max_in_flight = max_in_flight
        self._line: deque[_Caller[Q, A]] = deque()
        self._waiting = 0  # questions in line
        self._expected = 1  # questions that the next call waits for
        self._wanted = 1  # questions in line at which a thread that sleeps is to be woken
        self._mutex = threading.Lock()
        self._threads = 0
        self._asleep: dict[int, threading.Condition] = {}  # by the number of the thread

    def ask(self, questions: Sequence[Q]) -> "Future[Sequence[A]]":
        """The answers to come to at most `max_batch_size` questions: what `call` returns for them or raises.

        Raises Unavailable at once when too many wait already.
        """
        caller: _Caller[Q, A] = _Caller(questions, time.monotonic() + self._timeout_s)
        if not questions:
            caller.answers.set_result([])
            return caller.answers
        with self._mutex:
            if self._waiting + len(questions) > MAX_WAITING:
                raise Unavailable
            if self._threads < self._max_in_flight:
                self._start_thread()
            self._line.append(caller)
            self._waiting += len(questions)
            self._wake()
        return caller.answers

    def _start_thread(self) -> None:
        """At a call and not before: a thread does not survive gunicorn's fork. A failure is tried again at the next."""
        try:
            threading.Thread(target=self._work, args=[self._threads], name="together", daemon=True).start()
        except RuntimeError as error:
            if not self._threads:
                raise Unavailable(retry_after_s=1) from error
        else:
            self._threads += 1

    def _wake(self) -> None:
        """Of the threads that sleep always the first: so a lone caller finds SQLite's cache of one thread warm."""
        if self._asleep and self._waiting >= self._wanted:
            self._asleep[min(self._asleep)].notify()

    def _work(self, thread: int) -> None:
        enough = threading.Condition(self._mutex)
        while True:
            batch: list[_Caller[Q, A]] = []
            try:
                with self._mutex:
                    self._asleep[thread] = enough
                    self._await_company(enough)
                    del self._asleep[thread]
                    self._take(batch)
                self._answer(batch)
            except BaseException as error:  # of ours, or no memory is left: the others must not wait for ever
                _log.exception("a call for many failed")
                for caller in batch:
                    if not caller.answers.done():
                        caller.fail(error if isinstance(error, Exception) else Unavailable())

    def _await_company(self, enough: threading.Condition) -> None:
        """Wait for as many as the last call had to come again, but not for long; then for anybody."""
        if self._expected > 1 and self._linger_s:
            self._await(enough, self._expected, self._linger_s)
        self._await(enough, 1)

    def _await(self, enough: threading.Condition, questions: int, timeout_s: float | None = None) -> None:
        self._wanted = questions
        enough.wait_for(lambda: self._waiting >= questions, timeout_s)

    def _take(self, batch: list[_Caller[Q, A]]) -> None:
        """Take as many as fit, and leave the rest to another thread."""
        size = 0
        while self._line and (not batch or size + len(self._line[0].questions) <= self._max_batch_size):
            batch.append(self._line.popleft())
            size += len(batch[-1].questions)
        self._waiting -= size
        if self._waiting:
            self._wake()

    def _answer(self, batch: Sequence[_Caller[Q, A]]) -> None:
        """Give each caller its answers or an error; neither to those for whom another's time was too short."""
        for caller in batch:
            if caller.remaining_s <= 0:
                caller.fail(Unavailable())
        batch = [caller for caller in batch if not caller.answers.done()]
        if not batch:
            return
        first = min(batch, key=lambda caller: caller.deadline)  # as a rule the first, unless some were put back in line
        try:
            answers = self._call([question for caller in batch for question in caller.questions], first.remaining_s)
            if len(answers) != sum(len(caller.questions) for caller in batch):
                raise Unavailable("an answer is missing, try again")  # whose answers these are, nobody knows
        except Unavailable as error:
            self._fail(batch, error, only_late=first.remaining_s <= 0)
        except Exception as error:
            if len(batch) == 1:
                first.fail(error)
            else:
                # One of them may be poison. Each by itself, so that it fails alone.
                for caller in batch:
                    self._answer([caller])
        else:
            self._expect_again(batch)
            rest = iter(answers)
            for caller in batch:
                caller.answers.set_result(list(islice(rest, len(caller.questions))))

    def _fail(self, batch: Sequence[_Caller[Q, A]], error: Unavailable, *, only_late: bool) -> None:
        late = [caller for caller in batch if caller.remaining_s <= 0] if only_late else batch
        with self._mutex:
            for caller in reversed(batch):
                if caller not in late:
                    self._line.appendleft(caller)
                    self._waiting += len(caller.questions)  # this thread takes them next
        for caller in late:
            caller.fail(error)

    def _expect_again(self, batch: Sequence[_Caller[Q, A]]) -> None:
        """Those who are answered now are likely to come again, and those in line are there already."""
        with self._mutex:
            self._expected = min(self._max_batch_size, self._waiting + sum(len(caller.questions) for caller in batch))


def single_result(answers: Sequence[A | StoreError]) -> A:
    """The answer to a single question. In a batch a no stands as a value; to its caller it is raised."""
    [answer] = answers
    if isinstance(answer, StoreError):
        raise answer
    return answer
