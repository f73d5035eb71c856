"""Asks the order tier what it knows of a key, and then, where that is wanted, places a buy under it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from domain.errors import Unavailable
from domain.protocols import Placed
from domain.values import Buy, KnownBuy
from wsgi_apps.batcher import Asker

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Attempt:
    """The state of a key. `known` is None for an unknown key; `placed` is None when no buy was placed now.

    `placed` is Unavailable, too, when the order tier did not say what it knows.
    """

    known: KnownBuy | None
    placed: Placed | None


class Attempts:
    """Looks keys up and places buys, both in batches with those of other visitors."""

    def __init__(self, known: Asker[str, KnownBuy | None], buys: Asker[Buy, Placed]) -> None:
        self._known = known
        self._buys = buys

    def ask(self, key: str, choose: Callable[[KnownBuy | None], Buy | None]) -> "Future[Attempt]":
        """Returns the future of what is known of the key. Places the buy that `choose` returns for it, if any."""
        attempt: Future[Attempt] = Future()

        def on_known(future: "Future[Sequence[KnownBuy | None]]") -> None:
            [known] = future.result()
            buy = choose(known)
            if buy is None:
                attempt.set_result(Attempt(known, None))
            else:
                _follow(self._buys.ask([buy]), lambda placed: on_placed(known, placed), attempt)

        def on_placed(known: KnownBuy | None, future: "Future[Sequence[Placed]]") -> None:
            [placed] = future.result()
            attempt.set_result(Attempt(known, placed))

        try:
            _follow(self._known.ask([key]), on_known, attempt)
        except Unavailable as error:  # too many questions are queued
            attempt.set_result(Attempt(None, error))
        return attempt


def _follow(future: "Future[A]", go_on: "Callable[[Future[A]], None]", attempt: "Future[Attempt]") -> None:
    """Calls `go_on` once the future is done. An error in it ends the attempt."""

    def on_done(done: "Future[A]") -> None:
        try:
            go_on(done)
        except Unavailable as error:
            attempt.set_result(Attempt(None, error))
        except Exception as error:
            attempt.set_exception(error)

    future.add_done_callback(on_done)
