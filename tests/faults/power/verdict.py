"""Starts a store on the image that a power loss left, and checks it against every answer from before."""

from collections.abc import Sequence
from pathlib import Path

import apsw

from db.start import StartRefused
from domain.errors import Unavailable
from tests.faults.local_store import LocalStore, answers, answers_to_returns
from tests.faults.power.trace import Answered, AnsweredReturn, AskedReturn, Event
from tests.faults.power.workload import in_doubt, returns_in_doubt
from tests.support.books import Books, query
from tests.support.history import assert_answers_match_log
from tests.support.return_history import ReturnAttempt, merged_returns, return_violations


def broken_promise(folder: Path, history: Sequence[Event]) -> str | None:
    """Returns the first promise that the store in `folder` breaks after this history, or None."""
    try:
        _check(folder, history)
    except AssertionError as broken:
        return str(broken).split("\n")[0]
    except (apsw.Error, StartRefused, Unavailable) as broken:
        return f"it does not start: {broken}"
    return None


def _check(folder: Path, history: Sequence[Event]) -> None:
    """Starts the store, repeats what has no answer, and asserts all promises."""
    replies = {event.key: {event.answer} for event in history if isinstance(event, Answered)}
    returns = _return_attempts(history)
    store = LocalStore(folder)
    try:
        store.prepare()
        assert not store.checkout.intents(1), "I6: recovery leaves no buy in doubt"
        assert not store.returns.intents(1), "I6: recovery leaves no return in doubt"
        # Only shoppers without an answer repeat their buys: a repeated key would hide that its order was lost.
        unanswered = in_doubt(history)
        for buy in unanswered:
            replies[buy.key] = set(answers(store.checkout, [buy]))
        for one in returns_in_doubt(history):
            [answer] = answers_to_returns(store.returns, [one])
            returns.append(ReturnAttempt(one.key, one.number, one.quantity, len(history), len(history) + 1, answer))
    finally:
        store.close()
    for name in ("catalog.db", "order.db"):
        assert query(folder / name, "PRAGMA integrity_check") == [("ok",)], f"{name} is undamaged"
    books = Books.read(folder)
    assert_answers_match_log(books, replies)  # first, because a lost answer is the worst failure
    lost = [*return_violations(merged_returns(returns), _ordered_at(history), books)]
    assert not lost, f"I5: the log of returns disagrees with an answer: {lost[0]}"
    books.check()
    # The books must have every key that a shopper sent, and no other.
    assert {key for _, key, *_ in books.orders} | books.refused.keys() == replies.keys(), "each key sent has its end"


def _return_attempts(history: Sequence[Event]) -> list[ReturnAttempt]:
    """Returns the returns of a history. Their times are positions in it."""
    ended = {event.key: (at, event.answer) for at, event in enumerate(history) if isinstance(event, AnsweredReturn)}
    attempts = []
    for at, event in enumerate(history):
        if isinstance(event, AskedReturn):
            ended_at, answer = ended.get(event.asked.key, (at, None))
            one = event.asked
            attempts.append(ReturnAttempt(one.key, one.number, one.quantity, at, ended_at, answer))
    return attempts


def _ordered_at(history: Sequence[Event]) -> dict[int, float]:
    """Returns the position at which each order was answered, by its number."""
    answered = ((at, event.answer) for at, event in enumerate(history) if isinstance(event, Answered))
    return {int(answer): at for at, answer in answered if answer.isdigit()}
