"""Several order tiers at once on one log on PostgreSQL: keys, numbers, clients that die, recoveries, and pairing."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg
import pytest

from db.postgres.catalog import CatalogStore
from db.postgres.copies.copy_out import write_copy
from db.postgres.copies.moment import Addresses
from db.postgres.database import Database
from db.postgres.locks import lock_keys
from db.postgres.order import SCHEMA, OrderStore
from domain.errors import KeyReused, OutOfStock
from domain.pairing import Introduction
from domain.protocols import Placed, Sale
from domain.returns import Return, Returns, SaleReturn, TakenBack
from domain.values import Buy, Sold
from tests.support.at_once import at_once
from tests.support.books import Books
from tests.support.buying import never_limited
from tests.support.lock_waits import others, start
from tests.support.waiting import wait_until
from wsgi_apps.recovery import OVERDUE_S, Recovery

ROOT = Path(__file__).parents[4]
INTENT = "INSERT INTO intents (key, product, quantity) VALUES ('k', 'Bird', 2)"
RAISE = "UPDATE last_number SET number = number + 1"
ORDERED = f"WITH raised AS ({RAISE}) INSERT INTO orders (number, key, product, quantity, price_cents) VALUES"
# In one snapshot: how many orders there are, and how many there would be without a gap.
SIZE = "SELECT count(*), coalesce(max(number) + 1, 0) FROM orders"
KEYS_TWICE = "SELECT key FROM orders JOIN refused USING (key)"

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def shell(store_address: str) -> Iterator[Connection]:
    """Another connection to the log, in autocommit mode, that waits for no lock."""
    options = "-c search_path=log -c lock_timeout=50ms"
    with psycopg.connect(store_address, autocommit=True, options=options) as shell:
        yield shell


@pytest.fixture
def other_tier(store_address: str) -> Iterator[OrderStore]:
    """The same log, as another process has it."""
    with closing(Database(store_address, SCHEMA)) as database:
        yield OrderStore(database)


def log_orders(orders: OrderStore, *keys: str) -> list[Placed]:
    """Begins and finishes a buy of one piece for each key."""
    buys = [Buy(key, "Tux", 1) for key in keys]
    orders.begin(buys)
    return orders.finish([(buy, Sold(2599)) for buy in buys])


def test_a_buy_sees_what_another_tier_begins_under_its_key(
    orders: OrderStore, store_address: str, shell: Connection
) -> None:
    """The row of the other tier is not committed yet: only the lock of the key tells of it."""
    with others(store_address, SCHEMA, lock_keys(["k"]), (INTENT, {})):
        thread, begun = start(lambda: orders.begin([Buy("k", "Tux", 1)]), shell)
    thread.join()
    assert begun == [[KeyReused()]]
    assert orders.intents(10) == [Buy("k", "Bird", 2)]


def test_a_buy_sees_how_another_tier_ends_it(orders: OrderStore, store_address: str, shell: Connection) -> None:
    buy = Buy("k", "Tux", 1)
    orders.begin([buy])
    ending = f"{ORDERED} (0, 'k', 'Tux', 1, 2599)"
    forget = "DELETE FROM intents WHERE key = 'k'"
    with others(store_address, SCHEMA, lock_keys(["k"]), (ending, {}), (forget, {})):
        thread, placed = start(lambda: orders.finish([(buy, OutOfStock())]), shell)
    thread.join()
    assert placed == [[0]]
    assert shell.execute(KEYS_TWICE).fetchall() == []


def test_keys_are_locked_in_their_order(orders: OrderStore, store_address: str, shell: Connection) -> None:
    """Who waits for the first key holds no later one. Else two tiers would wait for each other."""
    with others(store_address, SCHEMA, lock_keys(["a"])):
        thread, begun = start(lambda: orders.begin([Buy("b", "Tux", 1), Buy("a", "Tux", 1)]), shell)
        shell.execute("INSERT INTO keys VALUES ('b')")
    thread.join()
    assert begun == [[None, None]]


def test_one_key_for_two_products_at_two_tiers_begins_one_buy(
    orders: OrderStore, other_tier: OrderStore, shell: Connection
) -> None:
    def race(number: int) -> list[Placed]:
        log, product = ((orders, "Tux"), (other_tier, "Bird"))[number]
        placed: list[Placed] = []
        for turn in range(20):
            buys = [Buy(f"k{turn}-{place}", product, 1) for place in range(4)]
            begun = log.begin(buys)
            sales: list[tuple[Buy, Sale]] = [(buy, (Sold(1), OutOfStock())[number]) for buy in buys]
            ended = iter(log.finish([sale for sale, known in zip(sales, begun, strict=True) if known is None]))
            placed += [next(ended) if known is None else known for known in begun]
        return placed

    sold, refused = at_once(race, 2)
    for tux, bird in zip(sold, refused, strict=True):
        assert (isinstance(tux, int) and bird == KeyReused()) or (tux == KeyReused() and bird == OutOfStock())
    assert shell.execute(KEYS_TWICE).fetchall() == []
    assert orders.intents(10) == []


def test_a_number_that_is_rolled_back_goes_to_the_next_order(
    orders: OrderStore, store_address: str, shell: Connection
) -> None:
    """Until then the next order waits. A sequence would leave a gap, and would number it in no order of commits."""
    orders.begin([Buy("a", "Tux", 1), Buy("b", "Tux", 1)])
    with others(store_address, SCHEMA, (f"{ORDERED} (0, 'a', 'Tux', 1, 1)", {}), commits=False):
        thread, placed = start(lambda: orders.finish([(Buy("b", "Tux", 1), Sold(2599))]), shell)
    thread.join()
    assert placed == [[0]]
    assert orders.finish([(Buy("a", "Tux", 1), Sold(2599))]) == [1]


def test_a_batch_that_fails_burns_no_number(orders: OrderStore) -> None:
    orders.begin([Buy("a", "Tux", 1)])
    for _ in range(3):
        with pytest.raises(psycopg.IntegrityError, match="the end of a buy in doubt"):
            orders.finish([(Buy("a", "Tux", 1), Sold(1)), (Buy("not begun", "Tux", 1), Sold(1))])
    assert orders.intents(10) == [Buy("a", "Tux", 1)], "the whole batch was rolled back"
    assert log_orders(orders, "b") == [0]


def test_no_moment_shows_a_gap_while_tiers_write_fail_and_die(
    orders: OrderStore, other_tier: OrderStore, store_address: str
) -> None:
    """Numbers are in the order of the commits: else a moment would have a number without the one below it."""

    def write(number: int) -> list[Placed]:
        log, placed = (orders, other_tier)[number % 2], []
        for turn in range(15):
            keys = [f"{number}-{turn}-{place}" for place in range(3)]
            placed += log_orders(log, *keys)
            with suppress(psycopg.IntegrityError):
                log.finish([(Buy(f"{number}-{turn}-not begun", "Tux", 1), Sold(1))])
        return placed

    def kill(_number: int) -> list[Placed]:
        """Dies 30 times in the middle of a transaction that has taken a number."""
        for turn in range(30):
            orders.begin([Buy(f"dead-{turn}", "Tux", 1)])
            dead = psycopg.connect(store_address, options="-c search_path=log")
            dead.execute(RAISE.encode())
            dead.close()
        return []

    def look(_number: int) -> list[Placed]:
        with psycopg.connect(store_address, autocommit=True, options="-c search_path=log") as reader:
            for _ in range(100):
                [(orders_now, without_gap)] = reader.execute(SIZE).fetchall()
                assert orders_now == without_gap
        return []

    work = [write] * 8 + [kill, look]
    placed = at_once(lambda number: work[number](number), len(work))
    numbers = [[number for number in of_thread if isinstance(number, int)] for of_thread in placed]
    assert sorted(chain.from_iterable(numbers)) == list(range(8 * 15 * 3))
    assert all(of_thread == sorted(of_thread) for of_thread in numbers)


def test_killed_processes_leave_no_gap_and_every_number_that_they_told(
    orders: OrderStore, store_address: str, shell: Connection, tmp_path: Path
) -> None:
    told: list[str] = []
    for life in range(2):
        processes, outputs = [], [tmp_path / f"{life}-{number}" for number in range(2)]
        for output in outputs:
            with output.open("w") as file:
                command = [sys.executable, "-m", "tests.support.order_writer", store_address, output.name]
                processes.append(subprocess.Popen(command, cwd=ROOT, stdout=file))
        try:
            for output in outputs:
                wait_until("the process writes", lambda output=output: output.read_text().count("\n") > 40)  # type: ignore[misc]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        told += chain.from_iterable(output.read_text().splitlines(keepends=True) for output in outputs)
    # The last words of a killed process may be committed a moment later.
    idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
    wait_until("the server has ended their transactions", lambda: shell.execute(idle.encode()).fetchall() == [(1,)])
    logged = shell.execute("SELECT number, key FROM orders ORDER BY number").fetchall()
    assert [number for number, _ in logged] == list(range(len(logged)))
    assert {line.rstrip() for line in told if line.endswith("\n")} <= {f"{number} {key}" for number, key in logged}
    in_doubt = shell.execute(
        "SELECT key FROM intents JOIN (SELECT key FROM orders UNION SELECT key FROM refused) AS x USING (key)"
    )
    assert in_doubt.fetchall() == [], "a buy has ended or is in doubt, never both"
    assert log_orders(orders, "next") == [len(logged)]


@pytest.fixture
def copied_books(store_address: str, tmp_path: Path) -> Callable[[], Books]:
    """Returns the books of the store, from a copy of both schemas."""

    def read() -> Books:
        write_copy(Addresses(store_address, store_address), tmp_path, lambda _line: None)
        return Books.read(tmp_path)

    return read


def test_recoveries_of_several_tiers_settle_each_buy_and_each_return_once(
    orders: OrderStore,
    other_tier: OrderStore,
    catalog: CatalogStore,
    copied_books: Callable[[], Books],
) -> None:
    """They need no leader: all of them read the same intents, and send them under the same keys."""
    sold = [Buy(f"sold-{number}", "Tux", 1) for number in range(30)]
    begun = [Buy(f"begun-{number}", ("Bird", "Unicorn")[number % 2], 1) for number in range(30)]
    assert log_orders(orders, "given back") == [0]
    catalog.sell([Buy("given back", "Tux", 1)])
    orders.begin(sold)
    catalog.sell(sold)
    orders.begin(begun)
    orders.begin_returns([Return("r", 0, 1)])
    recoveries = [
        Recovery(never_limited(log, catalog), Returns(log, catalog)) for log in (orders, other_tier, orders, other_tier)
    ]

    def sweep(number: int) -> None:
        for now in (0.0, OVERDUE_S, OVERDUE_S + 1):
            recoveries[number].sweep(now)

    at_once(sweep, len(recoveries))
    books = copied_books()
    books.check()
    assert len(books.orders) == 1 + 30 + 15
    assert len(books.refused) == 15
    assert books.products["Tux"] == 80 - 30
    assert [(key, number) for key, number, _ in books.returns] == [("r", 0)]


def test_two_tiers_give_no_more_back_than_was_bought(orders: OrderStore, other_tier: OrderStore) -> None:
    buy = Buy("k", "Tux", 5)
    orders.begin([buy])
    orders.finish([(buy, Sold(2599))])

    def give_back(number: int) -> int:
        log, pieces = (orders, other_tier)[number % 2], 0
        for turn in range(3):
            [begun] = log.begin_returns([Return(f"{number}-{turn}", 0, 1)])
            if isinstance(begun, SaleReturn):
                log.finish_returns([(begun, TakenBack())])
                pieces += begun.quantity
        return pieces

    assert sum(at_once(give_back, 4)) == 5


def test_a_log_adopts_one_of_two_catalogs_that_come_at_once(orders: OrderStore, other_tier: OrderStore) -> None:
    catalogs = [Introduction(letter * 32, (), True) for letter in "ab"]
    why = at_once(lambda number: (orders, other_tier)[number].pair(catalogs[number]), 2)
    assert sorted(answer is None for answer in why) == [False, True]
    mark = orders.mark()
    assert mark is not None and mark == other_tier.mark()
    assert mark.store == catalogs[why.index(None)].id


def test_a_log_matches_its_catalog_while_another_tier_ends_a_buy(
    orders: OrderStore, other_tier: OrderStore, catalog: CatalogStore
) -> None:
    """A sale moves from the buys in doubt to the orders: it is seen in one of the two at each moment."""

    def work(number: int) -> None:
        for turn in range(30):
            if number:
                assert orders.pair(catalog.introduce(orders.last_order())) is None
            else:
                buy = Buy(f"k{turn}", "Tux", 1)
                other_tier.begin([buy])
                other_tier.finish([(buy, catalog.sell([buy])[0])])

    at_once(work, 2)
