"""Calls that travel together: those that arrive while one is under way go as one in the next.

One HTTP hop costs more than the SQL behind it, and one fsync more than ten rows, so those who wait anyway share them.
"""

import copy
import threading
import time
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

    __slots__ = ("answers", "asleep", "deadline", "error", "gone", "leads", "questions")

    def __init__(self, questions: Sequence[Q], deadline: float) -> None:
        self.questions = questions
        self.deadline = deadline
        self.answers: Sequence[A] | None = None
        self.error: BaseException | None = None
        self.leads = False
        self.gone = False
        self.asleep = threading.Lock()
        self.asleep.acquire()

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()


class Together(Generic[Q, A]):
    """Joins the calls of many threads.

    `call` gets the questions of all who wait, and the seconds within which it must return an answer to each, in their
    order, or raise Unavailable.

    No answer is older than its question: a caller joins only a call that starts after it came. Whoever finds nobody at
    work leads: it takes what waits, up to `most` questions, calls, and hands the lead over to the first who waits
    then, so that nobody works for others longer than for one call, nor longer than its own time. When that runs out in
    the middle of a call, those of its batch who have time left go to the head of the line again.

    A larger batch is cheaper for each, so a leader whose predecessor had company waits up to `linger_s` for as many to
    come again. A lone caller never waits.
    """

    def __init__(self, call: Callable[[Sequence[Q], float], Sequence[A]], *, most: int, linger_s: float) -> None:
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
        me: _Caller[Q, A] = _Caller(questions, time.monotonic() + timeout_s)
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
            self._lead(me)
        if me.error is not None:
            # A copy, for the callers of a failed batch raise at the same time, each with its own traceback.
            raise copy.copy(me.error) from me.error
        assert me.answers is not None
        return me.answers

    def _lead(self, me: _Caller[Q, A]) -> None:
        """Call once for those in line, of whom the leader is the first."""
        batch: list[_Caller[Q, A]] = []
        try:
            self._linger()
            self._take(batch)
            self._answer(batch, me)
        finally:
            # The next call starts before this one's answers are passed on: its way and their work overlap.
            for caller in self._hand_over(batch, me):
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

    def _take(self, batch: list[_Caller[Q, A]]) -> None:
        size = 0
        with self._mutex:
            while self._line and (not batch or size + len(self._line[0].questions) <= self._most):
                batch.append(self._line[0])
                size += len(batch[-1].questions)
                self._drop(batch[-1])
            self._expected = size

    def _answer(self, batch: Sequence[_Caller[Q, A]], leader: _Caller[Q, A]) -> None:
        """Give each caller its answers or an error; neither to those for whom the leader's time was too short."""
        questions = [question for caller in batch for question in caller.questions]
        try:
            if leader.left_s <= 0:
                raise Unavailable
            answers = self._call(questions, leader.left_s)
        except Unavailable as error:
            for caller in batch:
                if caller is leader or leader.left_s > 0 or caller.left_s <= 0:
                    caller.error = error
        except Exception as error:
            if len(batch) > 1:
                # One of them may be poison. Each by itself, so that it fails alone.
                for caller in batch:
                    if not caller.gone:
                        self._answer([caller], leader)
            else:
                batch[0].error = error
        else:
            start = 0
            for caller in batch:
                caller.answers = answers[start : start + len(caller.questions)]
                start += len(caller.questions)
            if start != len(answers):
                # Whose answers these are, nobody knows.
                for caller in batch:
                    caller.answers, caller.error = None, Unavailable("an answer is missing, try again")

    def _hand_over(self, batch: Sequence[_Caller[Q, A]], me: _Caller[Q, A]) -> list[_Caller[Q, A]]:
        """Give the lead to the first in line. Returns those of the batch who are to be woken with their answer."""
        with self._mutex:
            if me in self._line:  # an exception came before it took its batch
                self._drop(me)
            done = [caller for caller in batch if caller.answers is not None or caller.error is not None]
            for caller in reversed(batch):
                if caller not in done and caller is not me and not caller.gone:
                    self._line.appendleft(caller)
                    self._waiting += len(caller.questions)
            if self._line:
                self._line[0].leads = True
                self._line[0].asleep.release()
            else:
                self._led = False
        return [caller for caller in done if caller is not me]

    def _drop(self, caller: _Caller[Q, A]) -> None:
        self._line.remove(caller)
        self._waiting -= len(caller.questions)

    def _leave(self, me: _Caller[Q, A]) -> None:
        """Out of time. Raises Unavailable, unless the answer or the lead came in this very moment."""
        with self._mutex:
            if me.leads:
                return  # it fails at once, for it has no time left, and hands over
            me.gone = me.answers is None and me.error is None
            if me in self._line:
                self._drop(me)
        if me.gone:
            raise Unavailable
