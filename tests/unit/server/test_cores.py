"""The workers of a tier share the cores out, whoever comes and goes."""

import os
import random
from types import SimpleNamespace

import pytest

import server.cores
from server.cores import choose_core, least_used, pin


class Tier:
    """A gunicorn master, as far as cores go."""

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
def tier(monkeypatch: pytest.MonkeyPatch) -> Tier:
    monkeypatch.setattr(server.cores, "usable_cores", lambda: {3, 5})
    return Tier()


@pytest.mark.parametrize("victim", [1, 2])
@pytest.mark.parametrize("crashes", [1, 2, 3])
def test_the_next_worker_takes_the_core_of_one_that_crashed(tier: Tier, victim: int, crashes: int) -> None:
    tier.spawn()
    tier.spawn()
    for _ in range(crashes):
        del tier.WORKERS[sorted(tier.WORKERS)[victim - 1]]
        tier.spawn()
        assert tier.cores() == [3, 5]


def test_a_reload_replaces_core_by_core(tier: Tier) -> None:
    for _ in range(4):
        tier.spawn()
    for _ in range(2):  # the oldest end when the new ones are there
        del tier.WORKERS[min(tier.WORKERS)]
    assert tier.cores() == [3, 5]


def test_more_and_fewer_workers_leave_no_core_idle(tier: Tier) -> None:
    rng = random.Random(1)
    tier.spawn()
    tier.spawn()
    for _ in range(200):
        if len(tier.WORKERS) == 2 or rng.random() < 0.5:
            tier.spawn()
        else:
            del tier.WORKERS[min(tier.WORKERS)]  # TTOU ends the oldest
        counts = [tier.cores().count(core) for core in (3, 5)]
        assert abs(counts[0] - counts[1]) <= 1


def test_cores_that_nobody_may_use_are_not_taken() -> None:
    assert least_used([7], [3, 3, None]) == 7
    assert least_used([], [3]) is None


def refuse(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_a_system_that_refuses_to_pin_is_one_line(tier: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    lines: list[tuple[object, ...]] = []
    tier.spawn()
    pin(SimpleNamespace(core=tier.cores()[0], log=SimpleNamespace(info=lambda *line: lines.append(line))))
    assert len(lines) == 1


@pytest.mark.parametrize("how", ["refused", "unknown"])
def test_a_system_that_does_not_tell_its_cores_pins_nobody(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "refused":
        monkeypatch.setattr(os, "sched_getaffinity", refuse, raising=False)
    else:
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: pytest.fail("pinned"), raising=False)
    worker = SimpleNamespace()
    choose_core(Tier(), worker)
    pin(worker)
