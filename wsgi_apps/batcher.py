"""Joins the calls of many callers into batches: calls that arrive while a batch is under way share the next one.

A call costs more than the SQL that it starts, and a sync of the disk costs more than ten rows, so a batch shares both.
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

# The most questions in the queue of a Batcher. A call that would exceed them is refused at once.
MAX_QUEUED = 1_024

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Caller(Generic[Q, A]):
    """A caller of `ask`: its questions, its deadline (monotonic clock), and the future of its answers."""

    questions: Sequence[Q]
    deadline: float
    answers: "Future[Sequence[A]]" = field(default_factory=Future)

    @property
    def remaining_s(self) -> float:
        return self.deadline - time.monotonic()

    def fail(self, error: Exception) -> None:
        # Each caller of a failed batch gets its own copy, because raising an error changes its traceback.
        self.answers.set_exception(copy.copy(error))


class Asker(Protocol[Q_contra, A]):
    """Answers questions by calls, in batches or one by one."""

    def ask(self, questions: Sequence[Q_contra]) -> "Future[Sequence[A]]":
        """Returns the future of the answers. Raises Unavailable at once when too many questions are queued."""


class BatcherFactory(Protocol):
    """The signature of Batcher's constructor. Apps take it as a parameter: a benchmark passes one without batches."""

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
    """Queues questions and sends them to `call` in batches of at most `max_batch_size`.

    `call` gets the questions of a batch and its timeout in seconds. It returns an answer to each question, in their
    order, or raises Unavailable. It runs in threads of the Batcher, for at most `max_in_flight` batches at a time.

    - No answer is older than its question: a batch starts after the last of its questions has arrived.
    - No caller waits longer than `timeout_s`. The timeout of a batch is the shortest remaining time of its callers.
      When it expires, the callers that have time left return to the head of the queue.
    - A larger batch costs less for each question. A batch that follows one of several questions therefore waits up to
      `linger_s` until as many are queued. A lone caller never waits.
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
        self._queue: deque[_Caller[Q, A]] = deque()
        self._queued = 0  # questions in the queue
        self._expected = 1  # questions for which the next batch lingers
        self._wake_at = 1  # queued questions that wake an idle thread
        self._mutex = threading.Lock()
        self._threads = 0
        self._idle: dict[int, threading.Condition] = {}  # by the number of the idle thread

    def ask(self, questions: Sequence[Q]) -> "Future[Sequence[A]]":
        """Returns the future of the answers to at most `max_batch_size` questions.

        The future raises the error of `call`. `ask` raises Unavailable when the queue is full.
        """
        caller: _Caller[Q, A] = _Caller(questions, time.monotonic() + self._timeout_s)
        if not questions:
            caller.answers.set_result([])
            return caller.answers
        with self._mutex:
            if self._queued + len(questions) > MAX_QUEUED:
                raise Unavailable
            if self._threads < self._max_in_flight:
                self._start_thread()
            self._queue.append(caller)
            self._queued += len(questions)
            self._wake_thread()
        return caller.answers

    def _start_thread(self) -> None:
        """Starts a thread. When that fails, the next `ask` tries again. Raises Unavailable when there is no thread yet.

        The first `ask` starts the first thread, because threads do not survive gunicorn's fork.
        """
        try:
            threading.Thread(target=self._run, args=[self._threads], name="batcher", daemon=True).start()
        except RuntimeError as error:
            if not self._threads:
                raise Unavailable(retry_after_s=1) from error
        else:
            self._threads += 1

    def _wake_thread(self) -> None:
        """Wakes the idle thread of the lowest number: a lone caller then finds the SQLite cache of one thread warm."""
        if self._idle and self._queued >= self._wake_at:
            self._idle[min(self._idle)].notify()

    def _run(self, thread: int) -> None:
        """Processes one batch after the other, for as long as the process lives."""
        wake = threading.Condition(self._mutex)
        while True:
            batch: list[_Caller[Q, A]] = []  # filled in place, so that an error at any point fails its callers
            try:
                with self._mutex:
                    self._idle[thread] = wake
                    self._await_questions(wake)
                    del self._idle[thread]
                    self._take_batch(batch)
                self._process(batch)
            except BaseException as error:  # a bug, or no memory: otherwise the callers would wait for ever
                _log.exception("a batch failed")
                for caller in batch:
                    if not caller.answers.done():
                        caller.fail(error if isinstance(error, Exception) else Unavailable())

    def _await_questions(self, wake: threading.Condition) -> None:
        """Lingers until the expected number of questions is queued. Then waits until there is at least one."""
        if self._expected > 1 and self._linger_s:
            self._await_queued(self._expected, wake, self._linger_s)
        self._await_queued(1, wake)

    def _await_queued(self, questions: int, wake: threading.Condition, timeout_s: float | None = None) -> None:
        """Waits until this many questions are queued."""
        self._wake_at = questions
        wake.wait_for(lambda: self._queued >= questions, timeout_s)

    def _take_batch(self, batch: list[_Caller[Q, A]]) -> None:
        """Moves callers from the queue to `batch`, as many as fit, and wakes another thread for the rest."""
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].questions) <= self._max_batch_size):
            batch.append(self._queue.popleft())
            size += len(batch[-1].questions)
        self._queued -= size
        if self._queued:
            self._wake_thread()

    def _process(self, batch: Sequence[_Caller[Q, A]]) -> None:
        """Asks `call` the questions of a batch. Each caller gets its answers or an error, or returns to the queue."""
        for caller in batch:
            if caller.remaining_s <= 0:
                caller.fail(Unavailable())
        batch = [caller for caller in batch if not caller.answers.done()]
        if not batch:
            return
        first_due = min(batch, key=lambda caller: caller.deadline)
        try:
            answers = self._call([question for caller in batch for question in caller.questions], first_due.remaining_s)
            if len(answers) != sum(len(caller.questions) for caller in batch):
                raise Unavailable("an answer is missing, try again")  # which question it belongs to is unknown
        except Unavailable as error:
            self._fail(batch, error, only_late=first_due.remaining_s <= 0)
        except Exception as error:
            if len(batch) == 1:
                first_due.fail(error)
            else:
                # One caller may have caused the error: each is now asked alone, so only that one fails.
                for caller in batch:
                    self._process([caller])
        else:
            self._expect_next(batch)
            rest = iter(answers)
            for caller in batch:
                caller.answers.set_result(list(islice(rest, len(caller.questions))))

    def _fail(self, batch: Sequence[_Caller[Q, A]], error: Unavailable, *, only_late: bool) -> None:
        """Fails the callers of a batch. With `only_late`, those before their deadline return to the queue."""
        late = [caller for caller in batch if caller.remaining_s <= 0] if only_late else batch
        with self._mutex:
            for caller in reversed(batch):
                if caller not in late:
                    self._queue.appendleft(caller)
                    self._queued += len(caller.questions)  # no wake-up is needed: this thread takes them next
        for caller in late:
            caller.fail(error)

    def _expect_next(self, batch: Sequence[_Caller[Q, A]]) -> None:
        """Sets the expected size of the next batch. The callers of this one are likely to call again soon."""
        with self._mutex:
            self._expected = min(self._max_batch_size, self._queued + sum(len(caller.questions) for caller in batch))


def single_result(answers: Sequence[A | StoreError]) -> A:
    """Returns the answer to a single question. Raises the answer if it is an error."""
    [answer] = answers
    if isinstance(answer, StoreError):
        raise answer
    return answer
