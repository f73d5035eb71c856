"""The stores against a model in plain Python: Hypothesis searches for a history in which they differ."""

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from db.audit import audit
from db.catalog import CatalogStore
from db.order import OrderStore
from db.product_admin import ProductAdmin
from db.snapshots import Snapshots
from domain.checkout import Checkout
from domain.errors import KeyReused, ProductNotFound, Refused
from domain.values import Buy, Product
from tests.support.books import Books

PRODUCTS = {"Tux": 10, "Whale": 3}
NAMES = [*PRODUCTS, "Unicorn"]
OWNERS_KEYS = ["o0", "o1", "o2"]
BUYS = st.builds(
    Buy,
    key=st.sampled_from([f"k{number}" for number in range(8)]),
    product=st.sampled_from(NAMES),
    quantity=st.integers(1, 4),
)


class StoreMachine(RuleBasedStateMachine):
    """Makes buys and the owner's changes in the stores and in the model. Some buys stop at a step, as in a crash."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.stock = dict(PRODUCTS)
        self.begun: dict[str, Buy] = {}  # intents
        self.sold: dict[str, tuple[Buy, str]] = {}  # the outcome of each key at the catalog
        self.logged: dict[str, tuple[Buy, str]] = {}  # the outcome of each key in the log
        self.retired: set[str] = set()
        self.changes: dict[str, tuple[str, str, int]] = {}  # the owner's change under each key
        self.next_number = 0
        self.restart(first=True)

    def restart(self, first: bool = False) -> None:
        """Opens the stores. The first time, it loads the products."""
        self.catalog, self.orders = CatalogStore(self.path / "catalog.db"), OrderStore(self.path / "order.db")
        self.catalog.migrate()
        self.orders.migrate()
        if first:
            self.catalog.load([Product(name, 100, pieces) for name, pieces in PRODUCTS.items()])
        self.checkout = Checkout(self.orders, self.catalog)
        self.owner = ProductAdmin(self.path / "catalog.db")

    @rule()
    def tiers_restart(self) -> None:
        self.catalog.close()
        self.orders.close()
        self.owner.close()
        self.restart()

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
            assert self.changes[key] != change
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

    def model_begins(self, buy: Buy) -> bool:
        """Begins the buy in the model. Returns whether it goes on to the catalog."""
        if buy.key in self.logged:
            return False
        return self.begun.setdefault(buy.key, buy) == buy

    def model_sells(self, buy: Buy) -> None:
        """Sells or refuses the buy in the model, once for its key."""
        if buy.key in self.sold:
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
        """Moves the outcome of a buy in doubt to the log of the model."""
        _, outcome = self.sold[buy.key]
        if outcome == "sold":
            outcome, self.next_number = str(self.next_number), self.next_number + 1
        self.logged[buy.key] = (buy, outcome)
        del self.begun[buy.key]

    def expected(self, buy: Buy) -> str:
        """Returns the answer that the model gives to a buy that has ended."""
        known, outcome = self.logged.get(buy.key, (None, ""))
        return outcome if known == buy else KeyReused.message

    @invariant()
    def the_stores_agree_with_the_model(self) -> None:
        books = Books.read(self.path)
        assert books.products == self.stock
        assert books.intents == list(self.begun)
        ordered = {key: str(number) for number, key, _, _ in books.orders}
        assert ordered | books.refused == {key: outcome for key, (_, outcome) in self.logged.items()}

    def teardown(self) -> None:
        """Settles all buys in doubt, and checks the promises."""
        if hasattr(self, "folder"):
            with self.folder, closing(self.catalog), closing(self.orders), closing(self.owner):
                self.settle()
                Books.read(self.path).check()
                with Snapshots(self.path) as snapshots:
                    assert audit(snapshots).discrepancies == ()


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
