"""The stores of any engine against a model in plain Python: Hypothesis searches for a history in which they differ."""

from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Protocol

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from db.product_changes import ProductChanges
from domain.checkout import Checkout
from domain.errors import Invalid, KeyReused, OrderNotFound, ProductNotFound, Refused
from domain.protocols import Catalog, OrderLog
from domain.returns import Return, Returned, ReturnLog, Returns, SaleReturn
from domain.values import Buy
from tests.support.books import Books

PRODUCTS = {"Tux": 10, "Whale": 3}
NAMES = [*PRODUCTS, "Unicorn"]
OWNERS_KEYS = ["o0", "o1", "o2"]
KEYS_OF_RETURNS = [f"r{number}" for number in range(6)]
BUYS = st.builds(
    Buy,
    key=st.sampled_from([*(f"k{number}" for number in range(8)), KEYS_OF_RETURNS[0]]),
    product=st.sampled_from(NAMES),
    quantity=st.integers(1, 4),
)
RETURNS = st.builds(
    Return,
    key=st.sampled_from([*KEYS_OF_RETURNS, "k0", OWNERS_KEYS[0]]),
    number=st.integers(0, 3),
    quantity=st.sampled_from([None, 1, 1, 2, 4]),
    note=st.sampled_from([None, None, "torn"]),
)


class Log(OrderLog, ReturnLog, Protocol):
    """An order log with its returns."""


class Stores(NamedTuple):
    """The stores that the machine drives: a catalog, an order log, and the owner of the catalog."""

    catalog: Catalog
    orders: Log
    owner: ProductChanges


class StoreMachine(RuleBasedStateMachine):
    """Makes buys, returns and the owner's changes in the stores and in the model. Some stop half way, as in a crash."""

    @abstractmethod
    def create_stores(self) -> None:
        """Creates a store with PRODUCTS and an empty log."""

    @abstractmethod
    def open_stores(self) -> Stores:
        """Opens the stores, as tiers that start do."""

    @abstractmethod
    def close_stores(self) -> None:
        """Closes the stores that `open_stores` has opened last."""

    @abstractmethod
    def read_books(self) -> Books:
        """Returns all rows of the store."""

    @abstractmethod
    def check_and_remove(self) -> None:
        """Audits the store, which is at rest and closed, and removes it."""

    @initialize()
    def open(self) -> None:
        self.create_stores()
        self.stock = dict(PRODUCTS)
        self.begun: dict[str, Buy] = {}  # intents
        self.sold: dict[str, tuple[Buy, str]] = {}  # the outcome of each key at the catalog
        self.logged: dict[str, tuple[Buy, str]] = {}  # the outcome of each key in the log
        self.returns_begun: dict[str, SaleReturn] = {}  # intents of returns
        self.taken_back: dict[str, SaleReturn] = {}  # the return under each key at the catalog
        self.returned: dict[str, tuple[SaleReturn, int]] = {}  # in the log, each with the pieces given back by then
        self.retired: set[str] = set()
        self.changes: dict[str, tuple[str, str, int]] = {}  # the owner's change under each key
        self.next_number = 0
        self.start()

    def start(self) -> None:
        self.catalog, self.orders, self.owner = self.open_stores()
        self.checkout = Checkout(self.orders, self.catalog)
        self.returns = Returns(self.orders, self.catalog)

    @rule()
    def tiers_restart(self) -> None:
        self.close_stores()
        self.start()

    @rule(buy=BUYS)
    def buy(self, buy: Buy) -> None:
        try:
            answer = str(self.checkout.place(buy))
        except (Refused, KeyReused) as error:
            answer = error.message
        if self.model_begins(buy):
            self.model_sells(buy)
            self.model_logs(buy)
        assert answer == self.expected(buy)

    @rule(buy=BUYS)
    def crash_after_the_intent(self, buy: Buy) -> None:
        self.orders.begin([buy])
        self.model_begins(buy)

    @rule(buy=BUYS)
    def crash_after_the_sale(self, buy: Buy) -> None:
        if self.orders.begin([buy]) == [None]:
            self.catalog.sell([buy])
        if self.model_begins(buy):
            self.model_sells(buy)

    @rule(buy=BUYS)
    def the_catalog_knows_a_key_before_the_log(self, buy: Buy) -> None:
        if buy.key not in self.logged and buy.key not in self.begun:
            self.catalog.sell([buy])
            self.orders.begin([buy])
            self.model_begins(buy)
            self.model_sells(buy)

    @rule(asked=RETURNS)
    def give_back(self, asked: Return) -> None:
        expected = self.model_begins_return(asked)
        if isinstance(expected, SaleReturn):
            self.model_takes_back(expected)
            expected = self.model_logs_return(expected)
        [outcome] = self.returns.give_back_all([asked])
        if isinstance(outcome, Returned):
            assert (outcome.number, outcome.quantity, outcome.returned) == expected
        else:
            assert type(outcome) is expected

    @rule(asked=RETURNS)
    def crash_after_the_intent_of_a_return(self, asked: Return) -> None:
        self.orders.begin_returns([asked])
        self.model_begins_return(asked)

    @rule(asked=RETURNS)
    def crash_after_the_pieces_are_taken_back(self, asked: Return) -> None:
        [begun] = self.orders.begin_returns([asked])
        expected = self.model_begins_return(asked)
        assert isinstance(begun, SaleReturn) == isinstance(expected, SaleReturn)
        if isinstance(begun, SaleReturn):
            assert begun == expected
            self.catalog.take_back([begun])
            self.model_takes_back(begun)

    @rule()
    def a_late_copy_of_a_return_reaches_the_catalog(self) -> None:
        for pieces in [*self.returns_begun.values(), *self.taken_back.values()]:
            self.catalog.take_back([pieces])
            self.model_takes_back(pieces)

    @rule(name=st.sampled_from(NAMES), pieces=st.integers(1, 5), key=st.sampled_from(OWNERS_KEYS))
    def the_owner_restocks(self, name: str, pieces: int, key: str) -> None:
        change = ("restock", name, pieces)
        if self.change_both(change, key, lambda: self.owner.restock(name, pieces, key)):
            self.stock[name] += pieces

    @rule(name=st.sampled_from(NAMES), key=st.sampled_from(OWNERS_KEYS))
    def the_owner_retires(self, name: str, key: str) -> None:
        if self.change_both(("retire", name, 0), key, lambda: self.owner.retire(name, key)):
            self.retired.add(name)

    def change_both(self, change: tuple[str, str, int], key: str, make: Callable[[], bool]) -> bool:
        """Makes the owner's change with `make`. Returns whether it is new, and asserts that `make` says the same."""
        try:
            is_new = make()
        except KeyReused:
            assert key in self.taken_back or self.changes[key] != change
            return False
        except ProductNotFound:
            assert key not in self.changes and change[1] not in self.stock.keys() - self.retired
            return False
        assert is_new == (key not in self.changes)
        assert self.changes.setdefault(key, change) == change
        return is_new

    @rule()
    def settle(self) -> None:
        self.checkout.settle(self.checkout.intents(100))
        for buy in list(self.begun.values()):
            self.model_sells(buy)
            self.model_logs(buy)
        self.returns.settle(self.returns.intents(100))
        for pieces in list(self.returns_begun.values()):
            self.model_takes_back(pieces)
            self.model_logs_return(pieces)

    def model_begins(self, buy: Buy) -> bool:
        """Begins the buy in the model. Returns whether it goes on to the catalog."""
        if buy.key in self.logged:
            return False
        return self.begun.setdefault(buy.key, buy) == buy

    def model_sells(self, buy: Buy) -> None:
        """Sells or refuses the buy in the model, once for its key. The key of a return sells nothing."""
        if buy.key in self.sold or buy.key in self.taken_back:
            return
        left = None if buy.product in self.retired else self.stock.get(buy.product)
        if left is None:
            outcome = "product not found"
        elif left < buy.quantity:
            outcome = "out of stock"
        else:
            outcome = "sold"
            self.stock[buy.product] = left - buy.quantity
        self.sold[buy.key] = (buy, outcome)

    def model_logs(self, buy: Buy) -> None:
        """Moves the outcome of a buy in doubt to the log of the model. A buy under the key of a return has none."""
        if buy.key in self.taken_back:
            del self.begun[buy.key]
            return
        _, outcome = self.sold[buy.key]
        if outcome == "sold":
            outcome, self.next_number = str(self.next_number), self.next_number + 1
        self.logged[buy.key] = (buy, outcome)
        del self.begun[buy.key]

    def expected(self, buy: Buy) -> str:
        """Returns the answer that the model gives to a buy that has ended."""
        known, outcome = self.logged.get(buy.key, (None, ""))
        return outcome if known == buy else KeyReused.message

    def model_begins_return(self, asked: Return) -> SaleReturn | tuple[int, int, int] | type[Exception]:
        """Begins the return in the model. Returns what goes on to the catalog, or how the return has ended."""
        known = self.returned[asked.key][0] if asked.key in self.returned else self.returns_begun.get(asked.key)
        if known is not None:
            same = (self.numbers()[known.sale], asked.quantity or known.quantity, asked.note)
            if same != (asked.number, known.quantity, known.note):
                return KeyReused
            return self.model_returned(asked.key) if asked.key in self.returned else known
        if asked.key in self.logged or asked.key in self.begun:
            return KeyReused
        sale = next((key for key, number in self.numbers().items() if number == asked.number), None)
        if sale is None:
            return OrderNotFound
        buy = self.logged[sale][0]
        others = [*(pieces for pieces, _ in self.returned.values()), *self.returns_begun.values()]
        left = buy.quantity - sum(other.quantity for other in others if other.sale == sale)
        if left < (asked.quantity or 1):
            return Invalid
        pieces = SaleReturn(asked.key, sale, buy.product, asked.quantity or left, asked.note)
        self.returns_begun[asked.key] = pieces
        return pieces

    def model_takes_back(self, pieces: SaleReturn) -> None:
        """Takes the pieces back in the model, once for their key, unless the key stands for something else."""
        restocked = self.changes.get(pieces.key, ("",))[0] == "restock"
        if pieces.key not in self.taken_back and pieces.key not in self.sold and not restocked:
            self.taken_back[pieces.key] = pieces
            self.stock[pieces.product] += pieces.quantity

    def model_logs_return(self, pieces: SaleReturn) -> tuple[int, int, int] | type[Exception]:
        """Moves a return in doubt to the log of the model. Returns how it ended."""
        del self.returns_begun[pieces.key]
        if pieces.key not in self.taken_back:
            return KeyReused
        before = sum(other.quantity for other, _ in self.returned.values() if other.sale == pieces.sale)
        self.returned[pieces.key] = (pieces, before + pieces.quantity)
        return self.model_returned(pieces.key)

    def model_returned(self, key: str) -> tuple[int, int, int]:
        """Returns number, quantity and all pieces given back by then, of a logged return."""
        pieces, returned = self.returned[key]
        return self.numbers()[pieces.sale], pieces.quantity, returned

    def numbers(self) -> dict[str, int]:
        """Returns the numbers of the model's orders, by key."""
        return {key: int(outcome) for key, (_, outcome) in self.logged.items() if outcome.isdigit()}

    @invariant()
    def the_stores_agree_with_the_model(self) -> None:
        books = self.read_books()
        assert books.products == self.stock
        assert books.intents == list(self.begun)
        assert books.return_intents == list(self.returns_begun)
        logged = [(key, self.numbers()[pieces.sale], pieces.quantity) for key, (pieces, _) in self.returned.items()]
        assert books.returns == logged
        ordered = {key: str(number) for number, key, _, _ in books.orders}
        assert ordered | books.refused == {key: outcome for key, (_, outcome) in self.logged.items()}

    def teardown(self) -> None:
        """Settles all that is in doubt, and checks the promises."""
        if hasattr(self, "checkout"):
            self.settle()
            self.read_books().check()
            self.close_stores()
            self.check_and_remove()
