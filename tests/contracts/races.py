"""Races of the threads of several workers on one store, with a history that is checked."""

from collections.abc import Callable

from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.protocols import Placed
from domain.values import Buy, Product
from tests.support.at_once import at_once
from tests.support.books import Books
from tests.support.history import History
from wsgi_apps.batcher import Batcher, single_result

THREADS = 64
WORKERS = 4
TICKET = Product("Ticket", 5000, 1_000)


class RacesContract:
    """However many workers share a store, it keeps its promises.

    The fixture `workers` has WORKERS checkouts, each with stores of its own. Their catalog has 1,000 pieces of TICKET.
    The fixture `read_books` reads the books of the store.
    """

    def test_64_threads_buy_exactly_1000_of_1000_pieces(
        self, workers: list[Checkout], read_books: Callable[[], Books]
    ) -> None:
        history = History()

        def shop(number: int) -> None:
            for turn in range(20):  # 64 × 20 buys of one piece for 1,000 pieces
                history.buy(workers[number % WORKERS], Buy(f"{number}-{turn}", "Ticket", 1))

        at_once(shop, THREADS)
        books = read_books()
        history.check(books)
        assert books.products["Ticket"] == 0
        assert [number for number, *_ in books.orders] == list(range(1_000))
        assert len(books.refused) == THREADS * 20 - 1_000

    def test_64_threads_with_one_key_buy_once(self, workers: list[Checkout], read_books: Callable[[], Books]) -> None:
        history = History()

        def shop(number: int) -> None:
            for turn in range(5):
                history.buy(workers[number % WORKERS], Buy(f"key-{turn}", "Ticket", 3))

        at_once(shop, THREADS)
        books = read_books()
        history.check(books)
        assert books.products["Ticket"] == 985

    def test_the_recovery_and_buys_at_the_same_time_keep_the_promises(
        self, workers: list[Checkout], read_books: Callable[[], Books]
    ) -> None:
        history = History()

        def shop(number: int) -> None:
            checkout = workers[number % WORKERS]
            for turn in range(5):
                if number % 5 == 0:
                    try:
                        checkout.settle(checkout.intents(100))
                    except Unavailable:
                        continue  # busy: the next sweep will do it
                else:
                    history.buy(checkout, Buy(f"{number}-{turn}", "Ticket", 5))

        at_once(shop, THREADS)
        workers[0].settle(workers[0].intents(100))
        books = read_books()
        history.check(books)

    def test_batches_in_flight_at_one_time_keep_the_promises(
        self, workers: list[Checkout], read_books: Callable[[], Books]
    ) -> None:
        """Two workers have two batches in flight each. Half of the keys come twice, mostly in two batches at once."""
        history = History()
        batched = [BatchedCheckout(checkout) for checkout in workers[:2]]

        def shop(number: int) -> None:
            for turn in range(10):
                key = f"{number // 2 if turn % 2 else number}-{turn}"
                history.buy(batched[number % 4 // 2], Buy(key, "Ticket", 3))

        at_once(shop, THREADS)
        books = read_books()
        history.check(books)
        assert books.products["Ticket"] == 1, "1,000 pieces by threes"


class BatchedCheckout(Checkout):
    """Joins the buys of many threads into batches. It overrides the only method that a history calls."""

    def __init__(self, checkout: Checkout) -> None:
        self._buys: Batcher[Buy, Placed] = Batcher(
            checkout.place_all, max_batch_size=8, timeout_s=60.0, max_in_flight=2
        )

    def place(self, buy: Buy) -> int:
        return single_result(self._buys.ask([buy]).result())
