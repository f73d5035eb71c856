"""Starts the store on what a power loss left, and holds it to what its shoppers were told."""

from collections.abc import Sequence
from pathlib import Path

import apsw

from db.connection import StartRefused
from domain.errors import Unavailable
from tests.faults.local_store import LocalStore, answers
from tests.faults.power.trace import Answered, Event
from tests.faults.power.workload import in_doubt
from tests.support.books import Books, query
from tests.support.history import assert_told


def broken_promise(folder: Path, history: Sequence[Event]) -> str | None:
    """What is wrong with the store in `folder` after this history, in a line; None when all promises hold."""
    try:
        _check(folder, history)
    except AssertionError as broken:
        return str(broken).split("\n")[0]
    except (apsw.Error, StartRefused, Unavailable) as broken:
        return f"it does not start: {broken}"
    return None


def _check(folder: Path, history: Sequence[Event]) -> None:
    replies = {event.key: {event.answer} for event in history if isinstance(event, Answered)}
    store = LocalStore(folder)
    try:
        store.prepare()
        assert not store.checkout.intents(1), "I6: recovery leaves no buy in doubt"
        # Who has no answer yet asks again. Only they: a lost order must not come back by being asked for.
        unanswered = in_doubt(history)
        for buy in unanswered:
            replies[buy.key] = set(answers(store.checkout, [buy]))
    finally:
        store.close()
    for name in ("catalog.db", "order.db"):
        assert query(folder / name, "PRAGMA integrity_check") == [("ok",)], f"{name} is sound"
    books = Books.read(folder)
    assert_told(books, replies)  # first, for what a shopper was told weighs most
    books.check()
    # A key that nobody asked for is in nobody's books.
    assert {key for _, key, *_ in books.orders} | books.refused.keys() == replies.keys(), "each key asked has its end"
