"""Batcher: its promises, and the races that could break them."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from werkzeug.test import Client

from db.catalog import CatalogStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from tests.support.waiting import wait_until
from wsgi_apps import batcher
from wsgi_apps.batcher import Batcher
from wsgi_apps.front_end import FrontEndApp

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
    """A call that answers each question with itself, or raises it if it is an exception.

    `calls` are the batches. While `go` is not set, a call does not return.
    """

    def __init__(self) -> None:
        self.calls: list[list[object]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()

    def __call__(self, questions: Sequence[object], _timeout_s: float) -> Sequence[object]:
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


def batcher_of(
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
    """A block during which the call for question 0 does not return."""

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
    return (calls._queued, len(calls._queue)) == (0, 0)


def test_a_lone_caller_calls_at_once(echo: Echo) -> None:
    calls = batcher_of(echo, linger_s=10 * PATIENCE_S)
    assert [calls.ask([number]).result(PATIENCE_S) for number in range(3)] == [[0], [1], [2]]
    assert echo.calls == [[0], [1], [2]]


def test_questions_asked_during_a_call_share_the_next_one(echo: Echo) -> None:
    calls = batcher_of(echo)
    with Held(echo, calls):
        later = [calls.ask([number]) for number in (1, 2, 3)]
    assert results(later) == [[1], [2], [3]]
    assert echo.calls == [[0], [1, 2, 3]], "no question joined the call that had started"


def test_a_batch_is_bounded_and_never_splits_a_caller(echo: Echo) -> None:
    calls = batcher_of(echo, max_batch_size=3)
    with Held(echo, calls):
        later = [calls.ask([10 * at, 10 * at + 1]) for at in (1, 2, 3)]
    assert results(later) == [[10, 11], [20, 21], [30, 31]]
    assert list(map(len, echo.calls)) == [1, 2, 2, 2]


def test_a_full_queue_refuses_at_once(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher, "MAX_QUEUED", 2)
    calls = batcher_of(echo)
    with Held(echo, calls):
        later = [calls.ask([number]) for number in (1, 2)]
        with pytest.raises(Unavailable):
            calls.ask([3])
    assert results(later) == [[1], [2]]
    assert calls.ask([3]).result(PATIENCE_S) == [3], "and there is room again"


def test_a_failed_call_fails_its_own_callers_only(echo: Echo) -> None:
    calls = batcher_of(echo)
    with Held(echo, calls):
        failed = [calls.ask([question]) for question in (Unavailable("the tier is away"), 2)]
    errors = [future.exception(PATIENCE_S) for future in failed]
    assert errors == [Unavailable("the tier is away")] * 2
    assert errors[0] is not errors[1], "each raises its own"
    assert calls.ask([3]).result(PATIENCE_S) == [3]
    assert at_rest(calls)


def test_a_question_that_makes_its_call_fail_fails_alone(echo: Echo) -> None:
    calls = batcher_of(echo)
    with Held(echo, calls):
        good, bad, also_good = (calls.ask([question]) for question in (1, ZeroDivisionError("poison"), 3))
    assert results([good, also_good]) == [[1], [3]]
    assert isinstance(bad.exception(PATIENCE_S), ZeroDivisionError)
    assert at_rest(calls)


def test_the_question_of_a_caller_without_time_left_is_not_asked(echo: Echo, clock: Clock) -> None:
    calls = batcher_of(echo, timeout_s=0.1)
    with Held(echo, calls):
        late = calls.ask([1])
        clock.now += 0.15
    assert late.exception(PATIENCE_S) == Unavailable()
    assert calls.ask([2]).result(PATIENCE_S) == [2]
    assert echo.calls == [[0], [2]]


def test_a_call_lingers_for_as_many_questions_as_the_last_had(echo: Echo) -> None:
    calls = batcher_of(echo, linger_s=10 * PATIENCE_S)
    with Held(echo, calls):
        later = [calls.ask([number]) for number in (1, 2)]
    results([*later, calls.ask([3])])
    again = [calls.ask([number]) for number in (4, 5)]
    time.sleep(0.05)
    assert echo.calls == [[0], [1, 2, 3]], "a third is expected"
    results([*again, calls.ask([6])])
    assert echo.calls[-1] == [4, 5, 6]


def test_a_call_lingers_for_the_queued_beside_the_answered(echo: Echo) -> None:
    calls = batcher_of(echo, linger_s=10 * PATIENCE_S)
    with Held(echo, calls):
        later = calls.ask([1])
    again = calls.ask([0])
    results([later, again])
    assert echo.calls == [[0], [1, 0]], "two half batches became one"


def test_a_call_lingers_no_longer_than_it_may(echo: Echo) -> None:
    calls = batcher_of(echo, linger_s=0.05)
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

    def call(questions: Sequence[object], _timeout_s: float) -> Sequence[object]:
        assert busy.acquire(blocking=False), "too many calls at a time"
        assert len(questions) <= 20
        time.sleep(0.0005)
        busy.release()
        return [str(question) for question in questions]

    calls = batcher_of(call, max_batch_size=20, linger_s=linger_s, max_in_flight=max_in_flight)

    def many(number: int) -> None:
        for turn in range(50):
            questions = [number * 1000 + turn * 3 + extra for extra in range(turn % 4)]
            assert calls.ask(questions).result(PATIENCE_S) == list(map(str, questions))

    for future in [pool.submit(many, number) for number in range(64)]:
        future.result(PATIENCE_S)
    assert at_rest(calls)


def test_queue_and_call_together_take_no_longer_than_the_timeout(echo: Echo, clock: Clock) -> None:
    """The last caller has spent time in the queue, so its call must be shorter."""
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

    calls = batcher_of(dead, timeout_s=0.6)
    echo.go.clear()
    callers = [shop(0)]
    assert echo.begun.acquire(timeout=PATIENCE_S)
    callers += [shop(number) for number in range(1, 20)]
    clock.now = 0.0  # at which the first call, of the first caller, began
    echo.go.set()
    assert [caller.exception(PATIENCE_S) for caller in callers] == [Unavailable()] * 20
    assert waited == pytest.approx([0.6] * 20), "no caller failed because another had less time"


def test_a_caller_with_time_left_is_called_for_again_when_another_has_none(echo: Echo, clock: Clock) -> None:
    def slow(questions: Sequence[object], timeout_s: float) -> Sequence[object]:
        echo(questions, timeout_s)
        if 1 in questions:
            clock.now += timeout_s
            raise Unavailable
        return questions

    calls = batcher_of(slow, timeout_s=0.5)
    with Held(echo, calls):
        hasty = calls.ask([1])
        clock.now += 0.15
        patient = calls.ask([2])
    assert hasty.exception(PATIENCE_S) == Unavailable()
    assert patient.result(PATIENCE_S) == [2]
    assert echo.calls == [[0], [1, 2], [2]]


def test_answers_of_another_number_than_the_questions_reach_no_caller() -> None:
    calls = batcher_of(lambda questions, _timeout_s: [*questions, 7])
    with pytest.raises(Unavailable):
        calls.ask([1]).result(PATIENCE_S)
    assert at_rest(calls)


def test_no_questions_have_no_answers_at_once(echo: Echo) -> None:
    assert batcher_of(echo).ask([]).result(PATIENCE_S) == []
    assert echo.calls == []


@pytest.mark.parametrize("step", ["_take_batch", "_process", "_expect_next"])
def test_a_failure_of_the_batcher_leaves_no_caller_waiting(
    echo: Echo, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    calls = batcher_of(echo)
    original = getattr(calls, step)
    failures = iter([MemoryError()])

    def fails_once(*arguments: object) -> object:
        for failure in failures:
            raise failure
        return original(*arguments)

    monkeypatch.setattr(calls, step, fails_once)
    if step == "_take_batch":
        assert calls.ask([1]).result(PATIENCE_S) == [1], "the caller was still in the queue"
    else:
        with pytest.raises(MemoryError):
            calls.ask([1]).result(PATIENCE_S)
    assert calls.ask([2]).result(PATIENCE_S) == [2]
    assert at_rest(calls)


def test_a_thread_that_cannot_start_is_started_by_the_next_call(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = batcher_of(echo)

    def cannot(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot)
        with pytest.raises(Unavailable):
            calls.ask([1])
    assert calls.ask([2]).result(PATIENCE_S) == [2]
    assert echo.calls == [[2]], "the refused question is never asked"


def test_a_call_lingers_for_no_more_than_the_largest_batch(echo: Echo) -> None:
    calls = batcher_of(echo, max_batch_size=2, linger_s=10 * PATIENCE_S)
    with Held(echo, calls):
        later = [calls.ask([number]) for number in (1, 2, 3, 4)]
    assert results(later) == [[1], [2], [3], [4]]
    assert echo.calls == [[0], [1, 2], [3, 4]]


def test_no_more_than_max_in_flight_calls_run_at_a_time(echo: Echo) -> None:
    calls = batcher_of(echo, max_in_flight=2)
    with Held(echo, calls):
        second = calls.ask([1])
        assert echo.begun.acquire(timeout=PATIENCE_S), "the second call does not wait for the first"
        later = [calls.ask([number]) for number in (2, 3)]
        time.sleep(0.05)
        assert echo.calls == [[0], [1]]
    assert results([second, *later]) == [[1], [2], [3]]
    assert {question for call in echo.calls[2:] for question in call} == {2, 3}
    assert at_rest(calls)


def test_a_caller_that_returns_to_the_queue_is_taken_by_whichever_thread_waits(echo: Echo, clock: Clock) -> None:
    """The thread that puts callers back must not miss them, nor must another that waits."""

    def slow(questions: Sequence[object], timeout_s: float) -> Sequence[object]:
        echo(questions, timeout_s)
        if questions == ["hasty", "patient"]:
            wait_until("the other thread waits for callers", lambda: bool(calls._idle))
            time.sleep(0.05)  # for it to fall asleep
            clock.now += timeout_s
            raise Unavailable
        return questions

    calls = batcher_of(slow, timeout_s=0.5, max_in_flight=2)
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


def test_a_call_has_the_shortest_remaining_time_of_its_callers(clock: Clock) -> None:
    """Callers that two calls have put back may stand in any order."""
    times: list[float] = []

    def call(questions: Sequence[object], timeout_s: float) -> Sequence[object]:
        times.append(timeout_s)
        return questions

    calls = batcher_of(call, max_in_flight=2)
    patient, hasty = (batcher._Caller[object, object]([deadline], deadline) for deadline in (9.0, 2.0))
    calls._process([patient, hasty])
    assert times == [2.0]
    assert (patient.answers.result(), hasty.answers.result()) == ([9.0], [2.0])


def test_one_thread_suffices_when_a_second_cannot_start(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def only_one(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    calls = batcher_of(echo, max_in_flight=2)
    monkeypatch.setattr(threading.Thread, "start", only_one)
    assert [calls.ask([number]).result(PATIENCE_S) for number in range(3)] == [[0], [1], [2]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_call_that_exits_its_thread_leaves_no_caller_waiting() -> None:
    def call(questions: Sequence[object], _timeout_s: float) -> Sequence[object]:
        if "poison" in questions:
            raise SystemExit(1)
        return list(questions)

    calls = batcher_of(call)
    poisoned = calls.ask(["poison"])
    assert isinstance(poisoned.exception(PATIENCE_S), BaseException)
    assert calls.ask([1]).result(PATIENCE_S) == [1]


def test_a_shopper_gets_503_when_the_system_gives_no_thread(
    catalog: CatalogStore, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client = Client(FrontEndApp(catalog, checkout))
    monkeypatch.setattr(threading.Thread, "start", cannot)
    assert client.get("/products/Tux").status_code == 503
