"""Batcher by itself: what it promises, and the races in which it could break the promise."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from domain.errors import Unavailable
from tests.support.waiting import wait_until
from wsgi_apps import batcher
from wsgi_apps.batcher import Batcher

PATIENCE_S = 60.0


class Clock:
    """The time as Batcher sees it. It stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(batcher, "time", clock)
    return clock


class Echo:
    """A call that answers each question with itself, and can be held up. `calls` are the batches.

    A question that is an exception is raised.
    """

    def __init__(self) -> None:
        self.calls: list[list[object]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()

    def __call__(self, questions: Sequence[object], _within_s: float) -> Sequence[object]:
        self.calls.append(list(questions))
        self.begun.release()
        assert self.go.wait(timeout=PATIENCE_S)
        for question in questions:
            if isinstance(question, Exception):
                raise question
        return list(questions)


@pytest.fixture
def echo() -> Echo:
    return Echo()


def joined(
    call: Callable[[Sequence[object], float], Sequence[object]],
    max_batch_size: int = 100,
    linger_s: float = 0.0,
    timeout_s: float = PATIENCE_S,
    max_in_flight: int = 1,
) -> Batcher[object, object]:
    return Batcher(
        call, max_batch_size=max_batch_size, timeout_s=timeout_s, linger_s=linger_s, max_in_flight=max_in_flight
    )


class Held:
    """Callers who came while a call, the one of question 0, was under way. At the end of the block it goes on."""

    def __init__(self, echo: Echo, calls: Batcher[object, object]) -> None:
        self._echo = echo
        self._calls = calls

    def __enter__(self) -> "Held":
        self._echo.go.clear()
        self.first = self._calls.ask([0])
        assert self._echo.begun.acquire(timeout=PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._echo.go.set()
        assert self.first.result(PATIENCE_S) == [0]


def results(futures: Sequence["Future[Sequence[object]]"]) -> list[Sequence[object]]:
    return [future.result(PATIENCE_S) for future in futures]


def at_rest(calls: Batcher[object, object]) -> bool:
    return (calls._waiting, len(calls._line)) == (0, 0)


def test_a_lone_caller_calls_at_once(echo: Echo) -> None:
    calls = joined(echo, linger_s=10 * PATIENCE_S)
    assert [calls.ask([number]).result(PATIENCE_S) for number in range(3)] == [[0], [1], [2]]
    assert echo.calls == [[0], [1], [2]]


def test_those_who_come_meanwhile_go_together_in_the_next_call(echo: Echo) -> None:
    calls = joined(echo)
    with Held(echo, calls):
        later = [calls.ask([number]) for number in (1, 2, 3)]
    assert results(later) == [[1], [2], [3]]
    assert echo.calls == [[0], [1, 2, 3]], "nobody joined the call that had started"


def test_a_batch_is_bounded_and_never_splits_a_caller(echo: Echo) -> None:
    calls = joined(echo, max_batch_size=3)
    with Held(echo, calls):
        later = [calls.ask([10 * at, 10 * at + 1]) for at in (1, 2, 3)]
    assert results(later) == [[10, 11], [20, 21], [30, 31]]
    assert list(map(len, echo.calls)) == [1, 2, 2, 2]


def test_the_line_is_bounded_and_says_so_at_once(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher, "MAX_WAITING", 2)
    calls = joined(echo)
    with Held(echo, calls):
        later = [calls.ask([number]) for number in (1, 2)]
        with pytest.raises(Unavailable):
            calls.ask([3])
    assert results(later) == [[1], [2]]
    assert calls.ask([3]).result(PATIENCE_S) == [3], "and there is room again"


def test_a_failed_call_fails_its_own_callers_only(echo: Echo) -> None:
    calls = joined(echo)
    with Held(echo, calls):
        failed = [calls.ask([question]) for question in (Unavailable("the tier is away"), 2)]
    errors = [future.exception(PATIENCE_S) for future in failed]
    assert errors == [Unavailable("the tier is away")] * 2
    assert errors[0] is not errors[1], "each raises its own"
    assert calls.ask([3]).result(PATIENCE_S) == [3]
    assert at_rest(calls)


def test_a_poisonous_question_fails_alone(echo: Echo) -> None:
    calls = joined(echo)
    with Held(echo, calls):
        good, bad, also_good = (calls.ask([question]) for question in (1, ZeroDivisionError("poison"), 3))
    assert results([good, also_good]) == [[1], [3]]
    assert isinstance(bad.exception(PATIENCE_S), ZeroDivisionError)
    assert at_rest(calls)


def test_the_question_of_a_caller_without_time_left_is_not_asked(echo: Echo, clock: Clock) -> None:
    calls = joined(echo, timeout_s=0.1)
    with Held(echo, calls):
        late = calls.ask([1])
        clock.now += 0.15
    assert late.exception(PATIENCE_S) == Unavailable()
    assert calls.ask([2]).result(PATIENCE_S) == [2]
    assert echo.calls == [[0], [2]]


def test_a_call_waits_for_as_many_as_it_had_last_time(echo: Echo) -> None:
    calls = joined(echo, linger_s=10 * PATIENCE_S)
    with Held(echo, calls):
        later = [calls.ask([number]) for number in (1, 2)]
    results([*later, calls.ask([3])])
    again = [calls.ask([number]) for number in (4, 5)]
    time.sleep(0.05)
    assert echo.calls == [[0], [1, 2, 3]], "two are not yet three"
    results([*again, calls.ask([6])])
    assert echo.calls[-1] == [4, 5, 6]


def test_those_in_line_are_expected_beside_those_who_are_answered(echo: Echo) -> None:
    calls = joined(echo, linger_s=10 * PATIENCE_S)
    with Held(echo, calls):
        later = calls.ask([1])
    again = calls.ask([0])
    results([later, again])
    assert echo.calls == [[0], [1, 0]], "two half batches became one"


def test_nobody_is_waited_for_longer_than_it_may(echo: Echo) -> None:
    calls = joined(echo, linger_s=0.05)
    with Held(echo, calls):
        later = [calls.ask([number]) for number in (1, 2, 3)]
    results(later)
    assert calls.ask([4]).result(PATIENCE_S) == [4], "the others did not come again"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


@pytest.mark.parametrize(("linger_s", "max_in_flight"), [(0.0, 1), (0.001, 1), (0.0, 2), (0.001, 3)])
def test_64_threads_all_get_their_own_answers(pool: ThreadPoolExecutor, linger_s: float, max_in_flight: int) -> None:
    busy = threading.BoundedSemaphore(max_in_flight)

    def call(questions: Sequence[object], _within_s: float) -> Sequence[object]:
        assert busy.acquire(blocking=False), "no more calls at a time than may be"
        assert len(questions) <= 20
        time.sleep(0.0005)
        busy.release()
        return [str(question) for question in questions]

    calls = joined(call, max_batch_size=20, linger_s=linger_s, max_in_flight=max_in_flight)

    def many(number: int) -> None:
        for turn in range(50):
            questions = [number * 1000 + turn * 3 + extra for extra in range(turn % 4)]
            assert calls.ask(questions).result(PATIENCE_S) == list(map(str, questions))

    for future in [pool.submit(many, number) for number in range(64)]:
        future.result(PATIENCE_S)
    assert at_rest(calls)


def test_waiting_and_calling_together_take_no_longer_than_a_callers_patience(echo: Echo, clock: Clock) -> None:
    """Behind a tier that does not answer, the last to be called for has waited already: its call must be shorter."""
    waited: list[float] = []

    def dead(questions: Sequence[object], timeout_s: float) -> Sequence[object]:
        echo(questions, timeout_s)
        clock.now += timeout_s
        raise Unavailable

    def shop(number: int) -> "Future[Sequence[object]]":
        begun = clock.now = number * 0.02
        answer = calls.ask([number])
        answer.add_done_callback(lambda _: waited.append(clock.now - begun))
        return answer

    calls = joined(dead, timeout_s=0.6)
    echo.go.clear()
    callers = [shop(0)]
    assert echo.begun.acquire(timeout=PATIENCE_S)
    callers += [shop(number) for number in range(1, 20)]
    clock.now = 0.0  # at which the first call, of the first caller, began
    echo.go.set()
    assert [caller.exception(PATIENCE_S) for caller in callers] == [Unavailable()] * 20
    assert waited == pytest.approx([0.6] * 20), "and nobody failed because another had less time"


def test_who_has_time_left_is_asked_for_again_when_another_has_none(echo: Echo, clock: Clock) -> None:
    def slow(questions: Sequence[object], timeout_s: float) -> Sequence[object]:
        echo(questions, timeout_s)
        if 1 in questions:
            clock.now += timeout_s
            raise Unavailable
        return questions

    calls = joined(slow, timeout_s=0.5)
    with Held(echo, calls):
        hasty = calls.ask([1])
        clock.now += 0.15
        patient = calls.ask([2])
    assert hasty.exception(PATIENCE_S) == Unavailable()
    assert patient.result(PATIENCE_S) == [2]
    assert echo.calls == [[0], [1, 2], [2]]


def test_answers_that_are_not_one_to_a_question_reach_nobody() -> None:
    calls = joined(lambda questions, _within_s: [*questions, 7])
    with pytest.raises(Unavailable):
        calls.ask([1]).result(PATIENCE_S)
    assert at_rest(calls)


def test_who_asks_nothing_is_answered_at_once(echo: Echo) -> None:
    assert joined(echo).ask([]).result(PATIENCE_S) == []
    assert echo.calls == []


@pytest.mark.parametrize("step", ["_take", "_answer", "_expect_again"])
def test_a_failure_between_the_calls_leaves_nobody_waiting_for_ever(
    echo: Echo, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    calls = joined(echo)
    original = getattr(calls, step)
    failures = iter([MemoryError()])

    def fails_once(*arguments: object) -> object:
        for failure in failures:
            raise failure
        return original(*arguments)

    monkeypatch.setattr(calls, step, fails_once)
    if step == "_take":
        assert calls.ask([1]).result(PATIENCE_S) == [1], "it had not been taken yet"
    else:
        with pytest.raises(MemoryError):
            calls.ask([1]).result(PATIENCE_S)
    assert calls.ask([2]).result(PATIENCE_S) == [2]
    assert at_rest(calls)


def test_a_thread_that_cannot_start_is_tried_again(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = joined(echo)

    def cannot(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot)
        with pytest.raises(Unavailable):
            calls.ask([1])
    assert calls.ask([2]).result(PATIENCE_S) == [2]
    assert echo.calls == [[2]], "what was refused is not asked later"


def test_no_more_are_waited_for_than_a_call_carries(echo: Echo) -> None:
    calls = joined(echo, max_batch_size=2, linger_s=10 * PATIENCE_S)
    with Held(echo, calls):
        later = [calls.ask([number]) for number in (1, 2, 3, 4)]
    assert results(later) == [[1], [2], [3], [4]]
    assert echo.calls == [[0], [1, 2], [3, 4]]


def test_as_many_calls_are_under_way_as_may_be_and_no_more(echo: Echo) -> None:
    calls = joined(echo, max_in_flight=2)
    with Held(echo, calls):
        second = calls.ask([1])
        assert echo.begun.acquire(timeout=PATIENCE_S), "it does not wait for the first"
        later = [calls.ask([number]) for number in (2, 3)]
        time.sleep(0.05)
        assert echo.calls == [[0], [1]]
    assert results([second, *later]) == [[1], [2], [3]]
    assert {question for call in echo.calls[2:] for question in call} == {2, 3}
    assert at_rest(calls)


def test_who_is_put_back_in_line_is_asked_for_by_whichever_thread_waits(echo: Echo, clock: Clock) -> None:
    """The thread that puts callers back then waits for its turn to take: whoever has the turn must hear of them."""

    def slow(questions: Sequence[object], timeout_s: float) -> Sequence[object]:
        echo(questions, timeout_s)
        if questions == ["hasty", "patient"]:
            wait_until("the other thread waits for callers", lambda: bool(calls._asleep))
            time.sleep(0.05)  # for it to fall asleep
            clock.now += timeout_s
            raise Unavailable
        return questions

    calls = joined(slow, timeout_s=0.5, max_in_flight=2)
    echo.go.clear()
    under_way = [calls.ask([0])]
    assert echo.begun.acquire(timeout=PATIENCE_S)
    under_way.append(calls.ask([1]))
    assert echo.begun.acquire(timeout=PATIENCE_S)
    hasty = calls.ask(["hasty"])
    clock.now += 0.1
    patient = calls.ask(["patient"])
    echo.go.set()
    results(under_way)
    assert hasty.exception(PATIENCE_S) == Unavailable()
    assert patient.result(PATIENCE_S) == ["patient"]


def test_a_call_has_the_time_of_the_most_impatient_wherever_it_stands(clock: Clock) -> None:
    """Callers that two calls have put back in line may stand in any order."""
    times: list[float] = []

    def call(questions: Sequence[object], timeout_s: float) -> Sequence[object]:
        times.append(timeout_s)
        return questions

    calls = joined(call, max_in_flight=2)
    patient, hasty = (batcher._Caller[object, object]([deadline], deadline) for deadline in (9.0, 2.0))
    calls._answer([patient, hasty])
    assert times == [2.0]
    assert (patient.answers.result(), hasty.answers.result()) == ([9.0], [2.0])


def test_one_thread_suffices_where_a_second_cannot_start(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def only_one(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    calls = joined(echo, max_in_flight=2)
    monkeypatch.setattr(threading.Thread, "start", only_one)
    assert [calls.ask([number]).result(PATIENCE_S) for number in range(3)] == [[0], [1], [2]]
