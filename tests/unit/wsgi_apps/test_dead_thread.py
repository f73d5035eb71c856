"""A call for many that ends the thread it is made by."""

from collections.abc import Sequence

import pytest

from wsgi_apps.batcher import Batcher


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_call_that_ends_its_thread_leaves_nobody_waiting_for_ever() -> None:
    def call(questions: Sequence[object], _within_s: float) -> Sequence[object]:
        if "poison" in questions:
            raise SystemExit(1)
        return list(questions)

    calls: Batcher[object, object] = Batcher(call, max_batch_size=10, timeout_s=1.0)
    poisoned = calls.ask(["poison"])
    assert isinstance(poisoned.exception(5), BaseException)
    assert calls.ask([1]).result(5) == [1]
