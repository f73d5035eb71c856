"""Together by itself: what it promises, and the races in which it could break the promise."""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from domain.errors import Unavailable
from wsgi_apps import together
from wsgi_apps.together import Together

PATIENCE_S = 10.0


class Echo:
    """A call that answers each question with itself, and can be held up. `calls` are the batches."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()

    def __call__(self, questions: Sequence[int], _within_s: float) -> Sequence[int]:
        self.calls.append(list(questions))
        self.begun.release()
        assert self.go.wait(timeout=PATIENCE_S)
        return list(questions)

    def hold(self) -> None:
        self.go.clear()


def joined(
    call: Callable[[Sequence[int], float], Sequence[int]], most: int = 100, linger_s: float = 0.0
) -> Together[int, int]:
    return Together(call, most=most, linger_s=linger_s)


def ask_later(
    pool: ThreadPoolExecutor, calls: Together[int, int], question: int, timeout_s: float = PATIENCE_S
) -> "Future[Sequence[int]]":
    """Ask in another thread, and return once it stands in line (or leads)."""
    before = calls._waiting
    future = pool.submit(calls.ask, [question], timeout_s=timeout_s)
    deadline = time.monotonic() + PATIENCE_S
    while calls._waiting == before and not future.done() and time.monotonic() < deadline:
        time.sleep(0.001)
    return future


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(64)


def test_a_lone_caller_calls_at_once() -> None:
    echo = Echo()
    calls = joined(echo, linger_s=PATIENCE_S)
    assert [calls.ask([number], timeout_s=1) for number in range(3)] == [[0], [1], [2]]
    assert echo.calls == [[0], [1], [2]]


def test_those_who_come_meanwhile_go_together_in_the_next_call(pool: ThreadPoolExecutor) -> None:
    echo = Echo()
    calls = joined(echo)
    echo.hold()
    first = pool.submit(calls.ask, [0], timeout_s=PATIENCE_S)
    echo.begun.acquire()
    later = [ask_later(pool, calls, number) for number in (1, 2, 3)]
    echo.go.set()
    assert [future.result(PATIENCE_S) for future in (first, *later)] == [[0], [1], [2], [3]]
    assert echo.calls == [[0], [1, 2, 3]], "nobody joined the call that had started"


def test_a_batch_is_bounded_and_never_splits_a_caller(pool: ThreadPoolExecutor) -> None:
    echo = Echo()
    calls = joined(echo, most=3)
    echo.hold()
    first = pool.submit(calls.ask, [0], timeout_s=PATIENCE_S)
    echo.begun.acquire()
    futures = [pool.submit(calls.ask, [10 * at, 10 * at + 1], timeout_s=PATIENCE_S) for at in (1, 2, 3)]
    while calls._waiting < 6:
        time.sleep(0.001)
    echo.go.set()
    assert first.result(PATIENCE_S) == [0]
    assert [future.result(PATIENCE_S) for future in futures] == [[10, 11], [20, 21], [30, 31]]
    assert sorted(map(len, echo.calls)) == [1, 2, 2, 2]


def test_the_line_is_bounded_and_says_so_at_once(pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MAX_WAITING", 2)
    echo = Echo()
    calls = joined(echo)
    echo.hold()
    first = pool.submit(calls.ask, [0], timeout_s=PATIENCE_S)
    echo.begun.acquire()
    later = [ask_later(pool, calls, number) for number in (1, 2)]
    with pytest.raises(Unavailable):
        calls.ask([3], timeout_s=PATIENCE_S)
    echo.go.set()
    assert [future.result(PATIENCE_S) for future in (first, *later)] == [[0], [1], [2]]


def test_a_leader_hands_over_after_one_call(pool: ThreadPoolExecutor) -> None:
    """Else the first caller would work for the others as long as they come."""
    leaders: list[int] = []

    def call(questions: Sequence[int], _within_s: float) -> Sequence[int]:
        leaders.append(threading.get_ident())
        time.sleep(0.002)
        return questions

    calls = joined(call)
    for future in [pool.submit(calls.ask, [number], timeout_s=PATIENCE_S) for number in range(200)]:
        future.result(PATIENCE_S)
    assert all(first != second for first, second in itertools.pairwise(leaders)) or len(leaders) == 1


def test_a_failed_call_fails_its_own_callers_only(pool: ThreadPoolExecutor) -> None:
    echo = Echo()

    def call(questions: Sequence[int], _within_s: float) -> Sequence[int]:
        echo(questions, _within_s)
        if 1 in questions:
            raise Unavailable("the tier is away")
        return questions

    calls = joined(call)
    echo.hold()
    first = pool.submit(calls.ask, [0], timeout_s=PATIENCE_S)
    echo.begun.acquire()
    failed = [ask_later(pool, calls, number) for number in (1, 2)]
    echo.go.set()
    assert first.result(PATIENCE_S) == [0]
    errors = [future.exception(PATIENCE_S) for future in failed]
    assert errors == [Unavailable("the tier is away")] * 2
    assert errors[0] is not errors[1], "each raises its own"
    assert calls.ask([3], timeout_s=1) == [3]


def test_a_poisonous_question_fails_alone(pool: ThreadPoolExecutor) -> None:
    echo = Echo()

    def call(questions: Sequence[int], _within_s: float) -> Sequence[int]:
        echo(questions, _within_s)
        if 2 in questions:
            raise ZeroDivisionError("poison")
        return questions

    calls = joined(call)
    echo.hold()
    first = pool.submit(calls.ask, [0], timeout_s=PATIENCE_S)
    echo.begun.acquire()
    later = [ask_later(pool, calls, number) for number in (1, 2, 3)]
    echo.go.set()
    assert first.result(PATIENCE_S) == [0]
    assert [later[0].result(PATIENCE_S), later[2].result(PATIENCE_S)] == [[1], [3]]
    assert isinstance(later[1].exception(PATIENCE_S), ZeroDivisionError)


def test_a_caller_out_of_time_leaves_without_harm(pool: ThreadPoolExecutor) -> None:
    echo = Echo()
    calls = joined(echo)
    echo.hold()
    first = pool.submit(calls.ask, [0], timeout_s=PATIENCE_S)
    echo.begun.acquire()
    hasty = ask_later(pool, calls, 1, timeout_s=0.05)
    patient = ask_later(pool, calls, 2)
    assert hasty.exception(PATIENCE_S) == Unavailable()
    echo.go.set()
    assert (first.result(PATIENCE_S), patient.result(PATIENCE_S)) == ([0], [2])
    assert echo.calls == [[0], [2]], "the question of who left is not asked"


def test_a_caller_out_of_time_in_the_middle_of_its_call_harms_nobody(pool: ThreadPoolExecutor) -> None:
    echo = Echo()
    calls = joined(echo)
    echo.hold()
    first = pool.submit(calls.ask, [0], timeout_s=PATIENCE_S)
    echo.begun.acquire()
    leader = ask_later(pool, calls, 1)
    hasty = ask_later(pool, calls, 2, timeout_s=0.3)
    echo.go.set()
    assert first.result(PATIENCE_S) == [0]
    echo.hold()
    echo.begun.acquire()
    error = hasty.exception(PATIENCE_S)
    echo.go.set()
    assert leader.result(PATIENCE_S) == [1]
    assert error in (None, Unavailable())
    assert calls.ask([3], timeout_s=1) == [3]


def test_a_leader_waits_for_as_many_as_came_last_time(pool: ThreadPoolExecutor) -> None:
    echo = Echo()
    calls = joined(echo, linger_s=PATIENCE_S)
    echo.hold()
    first = pool.submit(calls.ask, [0], timeout_s=PATIENCE_S)
    echo.begun.acquire()
    later = [ask_later(pool, calls, number) for number in (1, 2, 3)]
    echo.go.set()
    for future in (first, *later):
        future.result(PATIENCE_S)
    again = [ask_later(pool, calls, number) for number in (4, 5)]
    assert echo.calls[-1] == [1, 2, 3], "two are not yet three"
    again.append(pool.submit(calls.ask, [6], timeout_s=PATIENCE_S))
    for future in again:
        future.result(PATIENCE_S)
    assert echo.calls[-1] == [4, 5, 6]


def test_a_leader_does_not_wait_longer_than_it_may(pool: ThreadPoolExecutor) -> None:
    echo = Echo()
    calls = joined(echo, linger_s=0.05)
    echo.hold()
    first = pool.submit(calls.ask, [0], timeout_s=PATIENCE_S)
    echo.begun.acquire()
    later = [ask_later(pool, calls, number) for number in (1, 2, 3)]
    echo.go.set()
    for future in (first, *later):
        future.result(PATIENCE_S)
    assert calls.ask([4], timeout_s=PATIENCE_S) == [4], "the others did not come again"
    assert calls._expected == 1, "so the next one need not wait for them"


@pytest.mark.parametrize("linger_s", [0.0, 0.001])
def test_64_threads_all_get_their_own_answers(pool: ThreadPoolExecutor, linger_s: float) -> None:
    busy = threading.Lock()

    def call(questions: Sequence[int], _within_s: float) -> Sequence[int]:
        assert busy.acquire(blocking=False), "one call at a time"
        time.sleep(0.0005)
        busy.release()
        return [question + 1 for question in questions]

    calls = joined(call, most=20, linger_s=linger_s)

    def many(number: int) -> None:
        for turn in range(50):
            questions = [number * 1000 + turn * 3 + extra for extra in range(turn % 4)]
            assert calls.ask(questions, timeout_s=PATIENCE_S) == [question + 1 for question in questions]

    for future in [pool.submit(many, number) for number in range(64)]:
        future.result(60)
    assert (calls._waiting, calls._led, len(calls._line)) == (0, False, 0)


def test_callers_that_leave_and_callers_that_stay_never_lose_the_lead(pool: ThreadPoolExecutor) -> None:
    """With such short patience, some run out of it in the very moment in which they are given the lead."""

    def call(questions: Sequence[int], _within_s: float) -> Sequence[int]:
        time.sleep(0.001)
        return questions

    calls = joined(call, most=2)

    def hasty(number: int) -> None:
        for _ in range(50):
            try:
                assert calls.ask([number], timeout_s=0.003) == [number]
            except Unavailable:
                continue

    for future in [pool.submit(hasty, number) for number in range(32)]:
        future.result(60)
    assert calls.ask([7], timeout_s=1) == [7]
    assert (calls._waiting, calls._led, len(calls._line)) == (0, False, 0)


def test_waiting_and_calling_together_take_no_longer_than_a_callers_patience(pool: ThreadPoolExecutor) -> None:
    """Behind a tier that does not answer, the last to lead has waited already: its own call must be the shorter."""
    waited: list[float] = []

    def dead(_questions: Sequence[int], within_s: float) -> Sequence[int]:
        time.sleep(within_s)
        raise Unavailable

    calls = joined(dead)

    def shop(number: int) -> None:
        time.sleep(number * 0.02)
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            calls.ask([number], timeout_s=0.6)
        waited.append(time.monotonic() - begun)

    for future in [pool.submit(shop, number) for number in range(20)]:
        future.result(PATIENCE_S)
    assert len(waited) == 20
    assert min(waited) > 0.55, "and nobody failed because another had less time"
    assert max(waited) < 1.0


def test_who_has_time_left_is_asked_for_again_when_the_leader_has_none(pool: ThreadPoolExecutor) -> None:
    calls_made: list[list[int]] = []

    def slow_at_first(questions: Sequence[int], within_s: float) -> Sequence[int]:
        calls_made.append(list(questions))
        if 1 in questions:
            time.sleep(within_s)
            raise Unavailable
        return questions

    calls = joined(slow_at_first)
    hasty = pool.submit(calls.ask, [1], timeout_s=0.2)
    time.sleep(0.05)
    also_hasty = pool.submit(calls.ask, [1, 1], timeout_s=0.4)
    patient = pool.submit(calls.ask, [2], timeout_s=PATIENCE_S)
    assert hasty.exception(PATIENCE_S) == also_hasty.exception(PATIENCE_S) == Unavailable()
    assert patient.result(PATIENCE_S) == [2]
    assert calls_made[-1] == [2]


@pytest.mark.parametrize("step", ["_linger", "_take", "_answer"])
def test_a_leader_that_fails_before_or_in_its_call_loses_neither_lead_nor_callers(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    echo = Echo()
    calls = joined(echo)
    original = getattr(calls, step)
    failures = iter([MemoryError()])

    def fails_once(*arguments: object) -> object:
        for failure in failures:
            raise failure
        return original(*arguments)

    monkeypatch.setattr(calls, step, fails_once)
    with pytest.raises(MemoryError):
        calls.ask([1], timeout_s=1)
    assert calls.ask([2], timeout_s=1) == [2]
    assert (calls._waiting, calls._led, len(calls._line)) == (0, False, 0)


def test_answers_that_are_not_one_to_a_question_reach_nobody() -> None:
    calls = joined(lambda questions, _within_s: [*questions, 7])
    with pytest.raises(Unavailable):
        calls.ask([1], timeout_s=1)
