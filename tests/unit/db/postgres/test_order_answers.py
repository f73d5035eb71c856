"""The log on PostgreSQL tells no end of a buy before a standby has it, and finds a lost answer again."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from db.postgres.database import Database
from db.postgres.order import SCHEMA, OrderStore
from domain.errors import OutOfStock, Unavailable
from domain.returns import Return, Returned, SaleReturn, TakenBack
from domain.values import Buy, Sold
from tests.support.postgres import TestServer
from tests.unit.db.postgres.conftest import WAIT_TIMEOUT_S

BUY, REFUSED, IN_DOUBT = Buy("k", "Tux", 2), Buy("no", "Tux", 1_000), Buy("d", "Bird", 1)
PIECES = SaleReturn("r", "k", "Tux", 1, None)


@pytest.fixture
def hasty(store_address: str, orders: OrderStore) -> Iterator[OrderStore]:
    """A log with order 0, a refused buy, a buy in doubt and a return, for who waits only WAIT_TIMEOUT_S."""
    orders.begin([BUY, REFUSED, IN_DOUBT])
    assert orders.finish([(BUY, Sold(2599)), (REFUSED, OutOfStock())]) == [0, OutOfStock()]
    assert orders.begin_returns([Return("r", 0, 1)]) == [PIECES]
    orders.finish_returns([(PIECES, TakenBack())])
    with closing(Database(store_address, SCHEMA, wait_timeout_s=WAIT_TIMEOUT_S)) as database:
        store = OrderStore(database)
        store.order(0)  # opens the connection, which is no part of what follows
        yield store


@pytest.fixture
def without_standby(postgres_server: TestServer, hasty: OrderStore) -> Iterator[None]:
    """The server waits at COMMIT for a standby that there is not."""
    with postgres_server.settings(synchronous_standby_names="missing"):
        yield


@pytest.mark.usefixtures("without_standby")
@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda log: log.order(0), id="order"),
        pytest.param(lambda log: log.order(0, "k"), id="order of a key"),
        pytest.param(lambda log: log.find(["k"]), id="find"),
        pytest.param(lambda log: log.find(["no"]), id="find a refused buy"),
        pytest.param(lambda log: log.begin([BUY]), id="begin again"),
        pytest.param(lambda log: log.begin([REFUSED]), id="begin a refused buy again"),
        pytest.param(lambda log: log.finish([(BUY, Sold(2599))]), id="finish again"),
        pytest.param(lambda log: log.begin_returns([Return("r", 0, 1)]), id="begin a return again"),
        pytest.param(lambda log: log.finish_returns([(PIECES, TakenBack())]), id="finish a return again"),
    ],
)
def test_the_end_of_a_buy_is_not_told_before_a_standby_has_it(
    hasty: OrderStore, ask: Callable[[OrderStore], object]
) -> None:
    """The order may be on this server alone, and be gone with it after it was told."""
    with pytest.raises(Unavailable):
        ask(hasty)


@pytest.mark.usefixtures("without_standby")
def test_what_tells_no_end_of_a_buy_waits_for_no_standby(hasty: OrderStore) -> None:
    """The recovery reads what is in doubt, and sends it under its own key in any case."""
    assert hasty.intents(10) == [IN_DOUBT]
    assert hasty.in_doubt(["k", "d"]) == {"d"}
    assert hasty.known(["k", "no", "d", "new"]) == {"k", "no", "d"}
    assert hasty.return_intents(10) == []
    assert hasty.last_order() == "k"


def test_an_order_whose_answer_was_lost_is_told_under_its_key(hasty: OrderStore, postgres_server: TestServer) -> None:
    """The server goes on with the COMMIT of who gave up: then there is one order, and no second one."""
    with postgres_server.settings(synchronous_standby_names="missing"), pytest.raises(Unavailable):
        hasty.finish([(IN_DOUBT, Sold(3999))])
    # The settings are back, so the waiting COMMIT ends, and its locks with it.
    assert hasty.begin([IN_DOUBT]) == [1]
    assert hasty.finish([(IN_DOUBT, Sold(3999))]) == [1]
    assert hasty.intents(10) == []


def test_a_return_whose_answer_was_lost_is_told_under_its_key(hasty: OrderStore, postgres_server: TestServer) -> None:
    [begun] = hasty.begin_returns([Return("s", 0, 1)])
    assert isinstance(begun, SaleReturn)
    with postgres_server.settings(synchronous_standby_names="missing"), pytest.raises(Unavailable):
        hasty.finish_returns([(begun, TakenBack())])
    [ended] = hasty.begin_returns([Return("s", 0, 1)])
    assert isinstance(ended, Returned) and (ended.quantity, ended.returned) == (1, 2)
    assert hasty.return_intents(10) == []


@pytest.fixture
def round_trips(log_database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of the sessions of the log from now on, each of which is a round trip."""
    trips: list[str] = []
    run = log_database.run

    class Counting:
        def __init__(self, session: Any) -> None:
            self._session = session

        def fetch_together(self, *statements: Any) -> Any:
            trips.append("ask")
            return self._session.fetch_together(*statements)

        def commit_with(self, *statements: Any) -> Any:
            trips.append("commit")
            return self._session.commit_with(*statements)

    monkeypatch.setattr(log_database, "run", lambda work: run(lambda session: work(Counting(session))))
    return trips


@pytest.mark.parametrize("size", [1, 112])
def test_a_batch_is_two_round_trips(orders: OrderStore, round_trips: list[str], size: int) -> None:
    """The first one locks and reads, the second one writes and commits: no lock is held for a third one."""
    buys = [Buy(f"k{number}", "Tux", 1) for number in range(size)]
    orders.begin(buys)
    assert round_trips == ["ask", "commit"]
    orders.finish([(buy, Sold(2599) if number % 2 else OutOfStock()) for number, buy in enumerate(buys)])
    assert round_trips == ["ask", "commit"] * 2
    orders.begin(buys)
    assert round_trips == ["ask", "commit"] * 3, "known outcomes cost no more"


def test_an_order_and_a_find_are_one_round_trip(hasty: OrderStore, orders: OrderStore, round_trips: list[str]) -> None:
    orders.order(0)
    orders.find(["k", "no", "d", "new"])
    assert round_trips == ["commit"] * 2
