"""The threads of a batcher: one that cannot start, and one that fails or exits, leaves no caller waiting."""

import threading
from collections.abc import Sequence

import pytest
from werkzeug.test import Client

from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from tests.support.batching import PATIENCE_S, Echo, batcher_of, is_empty
from wsgi_apps.front_end import FrontEndApp


@pytest.fixture
def echo() -> Echo:
    return Echo()


def cannot_start(_thread: threading.Thread) -> None:
    """Stands in for Thread.start when the system gives no thread."""
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("step", ["_take_batch", "_process", "_expect_next"])
def test_a_failure_of_the_batcher_leaves_no_caller_waiting(
    echo: Echo, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    batcher = batcher_of(echo)
    original = getattr(batcher, step)
    failures = iter([MemoryError()])

    def fails_once(*arguments: object) -> object:
        for failure in failures:
            raise failure
        return original(*arguments)

    monkeypatch.setattr(batcher, step, fails_once)
    if step == "_take_batch":
        assert batcher.ask([1]).result(PATIENCE_S) == [1], "the caller was still in the queue"
    else:
        with pytest.raises(MemoryError):
            batcher.ask([1]).result(PATIENCE_S)
    assert batcher.ask([2]).result(PATIENCE_S) == [2]
    assert is_empty(batcher)


def test_a_thread_that_cannot_start_is_started_by_the_next_call(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    batcher = batcher_of(echo)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        with pytest.raises(Unavailable):
            batcher.ask([1])
    assert batcher.ask([2]).result(PATIENCE_S) == [2]
    assert echo.batches == [[2]], "the refused question is never asked"


def test_one_thread_suffices_when_a_second_cannot_start(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def only_one(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    batcher = batcher_of(echo, max_in_flight=2)
    monkeypatch.setattr(threading.Thread, "start", only_one)
    assert [batcher.ask([number]).result(PATIENCE_S) for number in range(3)] == [[0], [1], [2]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_call_that_exits_its_thread_leaves_no_caller_waiting() -> None:
    def call(questions: Sequence[object], _timeout_s: float) -> Sequence[object]:
        if "poison" in questions:
            raise SystemExit(1)
        return list(questions)

    batcher = batcher_of(call)
    poisoned = batcher.ask(["poison"])
    assert isinstance(poisoned.exception(PATIENCE_S), BaseException)
    assert batcher.ask([1]).result(PATIENCE_S) == [1]


def test_a_query_is_503_when_the_system_gives_no_thread(
    catalog: CatalogStore, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(FrontEndApp(catalog, checkout))
    monkeypatch.setattr(threading.Thread, "start", cannot_start)
    assert client.get("/products/Tux").status_code == 503
