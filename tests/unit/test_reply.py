import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import Unavailable
from wsgi_apps import reply
from wsgi_apps.reply import Reply, in_thread


def test_an_endpoint_in_a_thread_answers_later() -> None:
    with ThreadPoolExecutor(1) as threads:
        endpoint = in_thread(lambda name: Reply({"name": name, "thread": threading.get_ident()}), threads)
        answer = endpoint(name="Tux").wait().body
    assert answer["name"] == "Tux"
    assert answer["thread"] != threading.get_ident()


def test_who_waited_too_long_for_a_thread_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "THREAD_FREE_WITHIN_S", 0.05)
    asked: list[str] = []
    release = threading.Event()

    def endpoint(name: str) -> Reply:
        asked.append(name)
        release.wait(timeout=10)
        return Reply({})

    with ThreadPoolExecutor(1) as threads:
        begin = in_thread(endpoint, threads)
        first, late = begin("first"), begin("late")
        threading.Timer(0.2, release.set).start()
        assert first.wait() == Reply({})
        with pytest.raises(Unavailable):
            late.wait()
    assert asked == ["first"]
