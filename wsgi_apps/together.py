"""Calls that travel together: those that arrive while one is under way go as one in the next.

One HTTP hop costs more than the SQL behind it, and one fsync more than ten rows, so those who wait anyway share them.
"""

import copy
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from domain.errors import Unavailable

Q = TypeVar("Q")
A = TypeVar("A")

# Of one Together, over all its callers. A caller more is told to come back later, at once.
MAX_WAITING = 1_024


class _Caller(Generic[Q, A]):
    """Who asks: its questions, what came of them, and the lock on which it sleeps until it is answered or leads."""

    __slots__ = ("answers", "asleep", "error", "leads", "questions")

    def __init__(self, questions: Sequence[Q]) -> None:
        self.questions = questions
        self.answers: Sequence[A] | None = None
        self.error: BaseException | None = None
        self.leads = False
        self.asleep = threading.Lock()
        self.asleep.acquire()


class Together(Generic[Q, A]):
    """Joins the calls of many threads. `call` gets all their questions, and returns an answer to each in their order.

    No answer is older than its question: a caller joins only a call that starts after it came. Whoever finds nobody at
    work leads: it takes what waits, up to `most` questions, calls, and hands the lead over to the first who waits
    then, so that nobody works for others longer than for one call.

    A larger batch is cheaper for each, so a leader whose predecessor had company waits up to `linger_s` for as many to
    come again. A lone caller never waits.
    """

    def __init__(self, call: Callable[[Sequence[Q]], Sequence[A]], *, most: int, linger_s: float) -> None:
        self._call = call
        self._most = most
        self._linger_s = linger_s
        self._mutex = threading.Lock()
        self._line: deque[_Caller[Q, A]] = deque()
        self._waiting = 0  # questions in line
        self._expected = 1  # questions in the last batch
        self._led = False
        self._bell: threading.Lock | None = None  # on which a lingering leader sleeps

    def ask(self, questions: Sequence[Q], *, timeout_s: float) -> Sequence[A]:
        """The answers to at most `most` questions. Raises what `call` raised, and Unavailable after `timeout_s`."""
        me: _Caller[Q, A] = _Caller(questions)
        with self._mutex:
            if self._waiting + len(questions) > MAX_WAITING:
                raise Unavailable
            self._line.append(me)
            self._waiting += len(questions)
            if self._bell is not None and self._waiting >= self._expected:
                self._bell.release()
                self._bell = None
            me.leads, self._led = not self._led, True
        if not me.leads and not me.asleep.acquire(timeout=timeout_s):
            self._leave(me)
        if me.leads:
            self._lead()
        if me.error is not None:
            # A copy, for the callers of a failed batch raise at the same time, each with its own traceback.
            raise copy.copy(me.error) from me.error
        assert me.answers is not None
        return me.answers

    def _lead(self) -> None:
        """Call once for those in line, of whom the leader is the first."""
        batch: list[_Caller[Q, A]] = []
        try:
            self._linger()
            batch = self._take()
            self._answer(batch)
        finally:
            # The next call starts before this one's answers are passed on: its way and their work overlap.
            self._hand_over()
            for caller in batch[1:]:
                caller.asleep.release()

    def _linger(self) -> None:
        with self._mutex:
            if self._waiting >= self._expected:
                return
            bell = self._bell = threading.Lock()
            bell.acquire()
        bell.acquire(timeout=self._linger_s)
        with self._mutex:
            self._bell = None

    def _take(self) -> list[_Caller[Q, A]]:
        batch: list[_Caller[Q, A]] = []
        size = 0
        with self._mutex:
            while self._line and (not batch or size + len(self._line[0].questions) <= self._most):
                batch.append(self._line.popleft())
                size += len(batch[-1].questions)
            self._waiting -= size
            self._expected = size
        return batch

    def _answer(self, batch: Sequence[_Caller[Q, A]]) -> None:
        try:
            answers = self._call([question for caller in batch for question in caller.questions])
        except Unavailable as error:
            for caller in batch:
                caller.error = error
        except BaseException as error:
            if len(batch) == 1 or not isinstance(error, Exception):
                for caller in batch:
                    caller.error = error
                return
            # One of them is poison. Each by itself, so that it fails alone.
            for caller in batch:
                self._answer([caller])
        else:
            start = 0
            for caller in batch:
                caller.answers = answers[start : start + len(caller.questions)]
                start += len(caller.questions)

    def _hand_over(self) -> None:
        with self._mutex:
            if self._line:
                self._line[0].leads = True
                self._line[0].asleep.release()
            else:
                self._led = False

    def _leave(self, me: _Caller[Q, A]) -> None:
        """Out of time. Raises Unavailable, unless the answer came in this very moment."""
        with self._mutex:
            in_line = me in self._line
            if in_line:
                self._line.remove(me)
                self._waiting -= len(me.questions)
            leads, me.leads = me.leads, False
        if leads:
            self._hand_over()
        if in_line or (me.answers is None and me.error is None):
            raise Unavailable  # when its call is under way, nobody waits for its answer
