"""The batcher: which questions share a call, and which answer or error each caller gets."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from domain.errors import Unavailable
from tests.support.batching import PATIENCE_S, Echo, batcher_of, call_under_way, is_empty, results
from tests.support.clock import Clock
from tests.support.waiting import wait_until
from wsgi_apps import batcher as batcher_module


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the batcher."""
    clock = Clock()
    monkeypatch.setattr(batcher_module, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def echo() -> Echo:
    return Echo()


def test_a_lone_caller_calls_at_once(echo: Echo) -> None:
    batcher = batcher_of(echo, linger_s=10 * PATIENCE_S)
    assert [batcher.ask([number]).result(PATIENCE_S) for number in range(3)] == [[0], [1], [2]]
    assert echo.batches == [[0], [1], [2]]


def test_questions_asked_during_a_call_share_the_next_one(echo: Echo) -> None:
    batcher = batcher_of(echo)
    with call_under_way(echo, batcher):
        later = [batcher.ask([number]) for number in (1, 2, 3)]
    assert results(later) == [[1], [2], [3]]
    assert echo.batches == [[0], [1, 2, 3]], "no question joined the call that had started"


def test_a_batch_is_bounded_and_never_splits_a_caller(echo: Echo) -> None:
    batcher = batcher_of(echo, max_batch_size=3)
    with call_under_way(echo, batcher):
        later = [batcher.ask([10 * at, 10 * at + 1]) for at in (1, 2, 3)]
    assert results(later) == [[10, 11], [20, 21], [30, 31]]
    assert list(map(len, echo.batches)) == [1, 2, 2, 2]


def test_a_full_queue_refuses_at_once(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "MAX_QUEUED", 2)
    batcher = batcher_of(echo)
    with call_under_way(echo, batcher):
        later = [batcher.ask([number]) for number in (1, 2)]
        with pytest.raises(Unavailable):
            batcher.ask([3])
    assert results(later) == [[1], [2]]
    assert batcher.ask([3]).result(PATIENCE_S) == [3], "the queue has room again"


def test_a_failed_call_fails_its_own_callers_only(echo: Echo) -> None:
    batcher = batcher_of(echo)
    with call_under_way(echo, batcher):
        failed = [batcher.ask([question]) for question in (Unavailable("the tier is away"), 2)]
    errors = [future.exception(PATIENCE_S) for future in failed]
    assert errors == [Unavailable("the tier is away")] * 2
    assert errors[0] is not errors[1], "each caller has a copy of its own"
    assert batcher.ask([3]).result(PATIENCE_S) == [3]
    assert is_empty(batcher)


def test_only_the_question_that_makes_its_call_fail_fails(echo: Echo) -> None:
    batcher = batcher_of(echo)
    with call_under_way(echo, batcher):
        good, bad, also_good = (batcher.ask([question]) for question in (1, ZeroDivisionError("poison"), 3))
    assert results([good, also_good]) == [[1], [3]]
    assert isinstance(bad.exception(PATIENCE_S), ZeroDivisionError)
    assert is_empty(batcher)


def test_the_question_of_a_caller_without_time_left_is_not_asked(echo: Echo, clock: Clock) -> None:
    batcher = batcher_of(echo, timeout_s=0.1)
    with call_under_way(echo, batcher):
        late = batcher.ask([1])
        clock.now += 0.15
    assert late.exception(PATIENCE_S) == Unavailable()
    assert batcher.ask([2]).result(PATIENCE_S) == [2]
    assert echo.batches == [[0], [2]]


def test_a_call_lingers_for_as_many_questions_as_the_last_had(echo: Echo) -> None:
    batcher = batcher_of(echo, linger_s=10 * PATIENCE_S)
    with call_under_way(echo, batcher):
        later = [batcher.ask([number]) for number in (1, 2)]
    results([*later, batcher.ask([3])])
    again = [batcher.ask([number]) for number in (4, 5)]
    time.sleep(0.05)
    assert echo.batches == [[0], [1, 2, 3]], "the batcher waits for a third question"
    results([*again, batcher.ask([6])])
    assert echo.batches[-1] == [4, 5, 6]


def test_a_call_lingers_for_queued_and_for_answered_callers(echo: Echo) -> None:
    batcher = batcher_of(echo, linger_s=10 * PATIENCE_S)
    with call_under_way(echo, batcher):
        later = batcher.ask([1])
    again = batcher.ask([0])
    results([later, again])
    assert echo.batches == [[0], [1, 0]], "one batch, not two halves"


def test_a_call_lingers_no_longer_than_it_may(echo: Echo) -> None:
    batcher = batcher_of(echo, linger_s=0.05)
    with call_under_way(echo, batcher):
        later = [batcher.ask([number]) for number in (1, 2, 3)]
    results(later)
    assert batcher.ask([4]).result(PATIENCE_S) == [4], "no other question came"


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

    batcher = batcher_of(call, max_batch_size=20, linger_s=linger_s, max_in_flight=max_in_flight)

    def many(number: int) -> None:
        for turn in range(50):
            questions = [number * 1000 + turn * 3 + extra for extra in range(turn % 4)]
            assert batcher.ask(questions).result(PATIENCE_S) == list(map(str, questions))

    for future in [pool.submit(many, number) for number in range(64)]:
        future.result(PATIENCE_S)
    assert is_empty(batcher)


def test_queue_and_call_together_take_no_longer_than_the_timeout(echo: Echo, clock: Clock) -> None:
    """A caller that has spent time in the queue needs a shorter call."""
    waited: list[float] = []

    def time_out(questions: Sequence[object], timeout_s: float) -> Sequence[object]:
        echo(questions, timeout_s)
        clock.now += timeout_s
        raise Unavailable

    def shop(number: int) -> "Future[Sequence[object]]":
        begun = clock.now = number * 0.02
        answer = batcher.ask([number])
        answer.add_done_callback(lambda _: waited.append(clock.now - begun))
        return answer

    batcher = batcher_of(time_out, timeout_s=0.6)
    echo.go.clear()
    callers = [shop(0)]
    assert echo.begun.acquire(timeout=PATIENCE_S)
    callers += [shop(number) for number in range(1, 20)]
    clock.now = 0.0  # the time at which the first call began
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

    batcher = batcher_of(slow, timeout_s=0.5)
    with call_under_way(echo, batcher):
        hasty = batcher.ask([1])
        clock.now += 0.15
        patient = batcher.ask([2])
    assert hasty.exception(PATIENCE_S) == Unavailable()
    assert patient.result(PATIENCE_S) == [2]
    assert echo.batches == [[0], [1, 2], [2]]


def test_answers_that_differ_in_number_from_the_questions_reach_no_caller() -> None:
    batcher = batcher_of(lambda questions, _timeout_s: [*questions, 7])
    with pytest.raises(Unavailable):
        batcher.ask([1]).result(PATIENCE_S)
    assert is_empty(batcher)


def test_no_questions_have_no_answers_at_once(echo: Echo) -> None:
    assert batcher_of(echo).ask([]).result(PATIENCE_S) == []
    assert echo.batches == []


def test_a_call_lingers_for_no_more_than_the_largest_batch(echo: Echo) -> None:
    batcher = batcher_of(echo, max_batch_size=2, linger_s=10 * PATIENCE_S)
    with call_under_way(echo, batcher):
        later = [batcher.ask([number]) for number in (1, 2, 3, 4)]
    assert results(later) == [[1], [2], [3], [4]]
    assert echo.batches == [[0], [1, 2], [3, 4]]


def test_no_more_than_max_in_flight_calls_run_at_a_time(echo: Echo) -> None:
    batcher = batcher_of(echo, max_in_flight=2)
    with call_under_way(echo, batcher):
        second = batcher.ask([1])
        assert echo.begun.acquire(timeout=PATIENCE_S), "the second call does not wait for the first"
        later = [batcher.ask([number]) for number in (2, 3)]
        time.sleep(0.05)
        assert echo.batches == [[0], [1]]
    assert results([second, *later]) == [[1], [2], [3]]
    assert {question for call in echo.batches[2:] for question in call} == {2, 3}
    assert is_empty(batcher)


def test_a_caller_that_returns_to_the_queue_is_taken_by_any_waiting_thread(echo: Echo, clock: Clock) -> None:
    """Neither the thread that puts callers back nor a waiting thread may miss them."""

    def slow(questions: Sequence[object], timeout_s: float) -> Sequence[object]:
        echo(questions, timeout_s)
        if questions == ["hasty", "patient"]:
            wait_until("the other thread waits for callers", lambda: bool(batcher._idle))
            time.sleep(0.05)  # until it really waits
            clock.now += timeout_s
            raise Unavailable
        return questions

    batcher = batcher_of(slow, timeout_s=0.5, max_in_flight=2)
    echo.go.clear()
    under_way = [batcher.ask([0])]
    assert echo.begun.acquire(timeout=PATIENCE_S)
    under_way.append(batcher.ask([1]))
    assert echo.begun.acquire(timeout=PATIENCE_S)
    hasty = batcher.ask(["hasty"])
    clock.now += 0.1
    patient = batcher.ask(["patient"])
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

    batcher = batcher_of(call, max_in_flight=2)
    patient, hasty = (
        batcher_module._Caller[object, object]([remaining_s], clock.now + remaining_s) for remaining_s in (9.0, 2.0)
    )
    batcher._process([patient, hasty])
    assert times == [2.0]
    assert (patient.answers.result(), hasty.answers.result()) == ([9.0], [2.0])
