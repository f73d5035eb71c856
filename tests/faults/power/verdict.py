"""Starts a store on the image that a power loss left, and checks it against every answer from before."""

from collections.abc import Sequence
from pathlib import Path

import apsw

from db.connection import StartRefused
from domain.errors import Unavailable
from tests.faults.local_store import LocalStore, answers
from tests.faults.power.trace import Answered, Event
from tests.faults.power.workload import in_doubt
from tests.support.books import Books, query
from tests.support.history import assert_answers_match_log


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
    """Starts the store, repeats the buys without an answer, and asserts all promises."""
    replies = {event.key: {event.answer} for event in history if isinstance(event, Answered)}
    store = LocalStore(folder)
    try:
        store.prepare()
        assert not store.checkout.intents(1), "I6: recovery leaves no buy in doubt"
        # Only shoppers without an answer repeat their buys: a repeated key would hide that its order was lost.
        unanswered = in_doubt(history)
        for buy in unanswered:
            replies[buy.key] = set(answers(store.checkout, [buy]))
    finally:
        store.close()
    for name in ("catalog.db", "order.db"):
        assert query(folder / name, "PRAGMA integrity_check") == [("ok",)], f"{name} is undamaged"
    books = Books.read(folder)
    assert_answers_match_log(books, replies)  # first, because a lost answer is the worst failure
    books.check()
    # The books must have every key that a shopper sent, and no other.
    assert {key for _, key, *_ in books.orders} | books.refused.keys() == replies.keys(), "each key sent has its end"
