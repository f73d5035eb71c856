"""The workers of a tier are spread evenly over the cores, also after crashes and reloads."""

import os
import random
from types import SimpleNamespace

import pytest

import server.cores
from server.cores import choose_core, least_used, pin


class Master:
    """The master process of gunicorn, reduced to the cores of its workers."""

    def __init__(self) -> None:
        self.WORKERS: dict[int, SimpleNamespace] = {}
        self._pid = 0

    def spawn(self) -> None:
        worker = SimpleNamespace()
        choose_core(self, worker)
        self._pid += 1
        self.WORKERS[self._pid] = worker

    def cores(self) -> list[int]:
        return sorted(worker.core for worker in self.WORKERS.values())


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Master:
    """A master process that may use two cores."""
    monkeypatch.setattr(server.cores, "usable_cores", lambda: {3, 5})
    return Master()


@pytest.mark.parametrize("victim", [1, 2])
@pytest.mark.parametrize("crashes", [1, 2, 3])
def test_a_new_worker_takes_the_core_of_the_crashed_one(master: Master, victim: int, crashes: int) -> None:
    master.spawn()
    master.spawn()
    for _ in range(crashes):
        del master.WORKERS[sorted(master.WORKERS)[victim - 1]]
        master.spawn()
        assert master.cores() == [3, 5]


def test_a_reload_keeps_the_cores_evenly_used(master: Master) -> None:
    for _ in range(4):
        master.spawn()
    for _ in range(2):  # gunicorn ends the oldest workers once the new ones run
        del master.WORKERS[min(master.WORKERS)]
    assert master.cores() == [3, 5]


def test_adding_and_ending_workers_keeps_the_cores_evenly_used(master: Master) -> None:
    rng = random.Random(1)
    master.spawn()
    master.spawn()
    for _ in range(200):
        if len(master.WORKERS) == 2 or rng.random() < 0.5:
            master.spawn()
        else:
            del master.WORKERS[min(master.WORKERS)]  # TTOU ends the oldest
        counts = [master.cores().count(core) for core in (3, 5)]
        assert abs(counts[0] - counts[1]) <= 1


def test_only_a_usable_core_is_chosen() -> None:
    assert least_used([7], [3, 3, None]) == 7
    assert least_used([], [3]) is None


def refuse(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_a_system_that_refuses_to_pin_a_worker_is_logged_in_one_line(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    lines: list[tuple[object, ...]] = []
    master.spawn()
    pin(SimpleNamespace(core=master.cores()[0], log=SimpleNamespace(info=lambda *line: lines.append(line))))
    assert len(lines) == 1


@pytest.mark.parametrize("how", ["refused", "unknown"])
def test_no_worker_is_pinned_where_the_cores_are_unknown(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "refused":
        monkeypatch.setattr(os, "sched_getaffinity", refuse, raising=False)
    else:
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: pytest.fail("pinned"), raising=False)
    worker = SimpleNamespace()
    choose_core(Master(), worker)
    pin(worker)
