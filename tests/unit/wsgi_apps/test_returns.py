"""Returns at the tiers: the owner's request at the order tier, and the batches that it sends to the catalog."""

from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.pairing import store_id
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.limits import MAX_RETURNS
from domain.protocols import Catalog
from domain.returns import Return, Returns
from tests.support.app_clients import AppClients, decode_error
from tests.support.books import Books
from tests.support.catalog_proxy import CatalogProxy
from wsgi_apps.bearer_auth import BearerAuthMiddleware, encode_authorization
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.pairing import PairedCatalog, PairedReturns

pytestmark = pytest.mark.usefixtures("bought")
OWNER, TIER = "owner---" * 4, "tier----" * 4


@pytest.fixture
def order_tier(checkout: Checkout, returns: Returns) -> Client:
    """The order tier, which knows the owner."""
    return Client(BearerAuthMiddleware(OrderApp(checkout, returns=returns), [TIER], [OWNER]))


def give_back(
    tier: Client, body: bytes | str = b"", key: str | None = "r", number: str = "0", token: str = OWNER
) -> TestResponse:
    """Sends a return to the order tier."""
    headers = {"Authorization": encode_authorization(token)} | ({} if key is None else {"Idempotency-Key": key})
    return tier.post(f"/orders/{number}/returns", data=body, headers=headers)


def test_the_owner_gives_pieces_back_once(order_tier: Client, catalog: CatalogStore) -> None:
    first = give_back(order_tier, '{"quantity": 2, "note": "zu groß"}')
    assert first.status_code == 200
    data: dict[str, Any] = first.get_json()["data"]
    assert data.pop("time").endswith("Z")
    assert data == {"order_number": "0", "quantity": 2, "returned": 2}
    assert first.headers["Idempotency-Key"] == "r"
    rest = give_back(order_tier, key="s")
    assert (rest.get_json()["data"]["quantity"], rest.get_json()["data"]["returned"]) == (3, 5)
    assert give_back(order_tier, '{"note": "zu groß", "quantity": 2}').text == first.text
    assert give_back(order_tier, b" {} ", key="s").text == rest.text
    assert catalog.product("Tux").quantity == 80


def test_a_return_without_a_key_gets_one(order_tier: Client) -> None:
    answer = give_back(order_tier, '{"quantity": 2}', key=None)
    again = give_back(order_tier, '{"quantity": 2}', key=answer.headers["Idempotency-Key"])
    assert again.text == answer.text


@pytest.mark.parametrize(
    ("number", "body", "key", "status", "message"),
    [
        ("0", '{"quantity": 6}', "r", 400, "order 0 has 5 of its pieces left to give back, and not 6"),
        ("0", '{"quantity": 0}', "r", 400, "the quantity is below 1"),
        ("0", '{"quantity": 1000001}', "r", 400, "the quantity is above 1,000,000"),
        ("0", '{"quantity": true}', "r", 400, "the quantity is not a whole number"),
        ("0", '{"quantity": 1.0}', "r", 400, "the quantity is not a whole number"),
        ("0", '{"quantity": "1"}', "r", 400, "the quantity is not a whole number"),
        ("0", '{"quantity": NaN}', "r", 400, "the quantity is not a whole number"),
        ("0", '{"note": 7}', "r", 400, "the note is not a string"),
        ("0", '{"note": ""}', "r", 400, "the note is empty"),
        ("0", '{"note": "\\u0007"}', "r", 400, "the note has a control character"),
        ("0", '{"note": "\\ud800"}', "r", 400, "the note has a control character"),
        ("0", '{"quantity": 1, "quantity": 2}', "r", 400, "a name stands twice in the body"),
        ("0", '{"pieces": 1}', "r", 400, "unknown name 'pieces' in the body; known: quantity, note"),
        ("0", "[1]", "r", 400, "the body is not an object"),
        ("0", "nonsense", "r", 400, "the body is not JSON"),
        ("0", b"\xff", "r", 400, "the body is not JSON"),
        ("0", "[" * 16_000, "r", 400, "the body is not JSON"),
        ("0", "{}", "two, keys", 400, "the Idempotency-Key stands twice or has a comma"),
        ("1", "{}", "r", 404, "order not found"),
        ("-1", "{}", "r", 404, "order not found"),
        ("9" * 30, "{}", "r", 404, "order not found"),
        ("0", "{}", "k", 422, "this Idempotency-Key was used for another product or quantity"),
    ],
)
def test_a_wrong_return_is_refused_and_changes_nothing(
    order_tier: Client, tmp_path: Path, number: str, body: bytes | str, key: str, status: int, message: str
) -> None:
    answer = give_back(order_tier, body, key, number)
    assert answer.status_code == status
    assert decode_error(answer).startswith(message)
    books = Books.read(tmp_path)
    books.check()
    assert books.returns == []


def test_a_key_that_was_used_for_another_return_is_refused(order_tier: Client, catalog: CatalogStore) -> None:
    give_back(order_tier, '{"quantity": 2}')
    for body in ('{"quantity": 1}', '{"quantity": 2, "note": "torn"}'):
        assert give_back(order_tier, body).status_code == 422
    assert catalog.product("Tux").quantity == 77


def test_nobody_but_the_owner_gives_anything_back(
    order_tier: Client, checkout: Checkout, returns: Returns, catalog: CatalogStore
) -> None:
    without_owner = Client(OrderApp(checkout, returns=returns))
    assert give_back(order_tier, token=TIER).status_code == 403
    assert give_back(order_tier, token="wrong---" * 4).status_code == 401
    assert give_back(without_owner).status_code == 403, "a tier without OWNER_SECRET gives nothing back"
    front_end = Client(FrontEndApp(catalog, checkout))
    assert give_back(front_end).status_code in (404, 405), "shoppers have no such path"
    assert catalog.product("Tux").quantity == 75


def test_the_catalog_takes_back_a_batch_and_answers_each_return(catalog: CatalogStore) -> None:
    rows = [
        ["r", "k", "Tux", 2, "torn"],
        ["s", "k", "Tux", 9, None],
        ["k", "k", "Tux", 1, None],
        ["r", "k", "Tux", 2, "torn"],
    ]
    answer = Client(CatalogApp(catalog)).post("/v1/returns", json=rows)
    assert answer.get_json() == {
        "data": [
            True,
            [400, "the catalog has 3 pieces of the order left to take back, and not 9", None],
            [422, "this Idempotency-Key was used for another product or quantity", None],
            True,
        ]
    }
    assert catalog.product("Tux").quantity == 77


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Store-Id": "own", "Last-Order": "k"}, 200),
        ({"Store-Id": "own", "Last-Order": "unknown"}, 409),
        ({"Store-Id": "0" * 32}, 409),
    ],
)
def test_the_catalog_takes_back_only_for_its_own_log(
    catalog: CatalogStore, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    own = store_id(tmp_path / "catalog.db")
    headers = {name: own if value == "own" and own else value for name, value in headers.items()}
    answer = Client(CatalogApp(catalog)).post("/v1/returns", json=[["r", "k", "Tux", 2, None]], headers=headers)
    assert answer.status_code == status
    assert catalog.product("Tux").quantity == (77 if status == 200 else 75)


@pytest.mark.parametrize("version", [2, 10])
def test_the_catalog_knows_no_other_version_of_the_call(tiers: AppClients, version: int) -> None:
    answer = tiers.catalog.post(f"/v{version}/returns", json=[["r", "k", "Tux", 2, None]])
    assert (answer.status_code, decode_error(answer)) == (404, "not found")


def test_a_call_has_at_most_max_returns(catalog: CatalogStore) -> None:
    rows = [[f"r{number}", "k", "Tux", 1, None] for number in range(MAX_RETURNS + 1)]
    answer = Client(CatalogApp(catalog)).post("/v1/returns", json=rows)
    assert (answer.status_code, catalog.product("Tux").quantity) == (400, 75)


def test_no_return_begins_while_the_catalog_is_another_stores(
    orders: OrderStore, catalog: CatalogStore, tmp_path: Path
) -> None:
    another = CatalogStore(tmp_path / "another" / "catalog.db")
    another.migrate()
    paired = PairedCatalog(orders, catalog)
    paired.pair()  # the log adopts the id
    foreign = PairedCatalog(orders, another)
    order_tier = OrderApp(Checkout(orders, foreign), returns=PairedReturns(Returns(orders, foreign), foreign))
    answer = give_back(Client(BearerAuthMiddleware(order_tier, None, [OWNER])))
    assert answer.status_code == 503
    assert orders.return_intents(10) == []


class ExchangedCatalog(CatalogProxy):
    """A catalog in whose place another one may come."""

    def exchange(self, catalog: Catalog) -> None:
        self._catalog = catalog


def test_a_catalog_that_was_exchanged_leaves_the_return_in_doubt(
    orders: OrderStore, catalog: CatalogStore, tmp_path: Path
) -> None:
    another = CatalogStore(tmp_path / "another" / "catalog.db")
    another.migrate()

    exchanged = ExchangedCatalog(catalog)
    paired = PairedCatalog(orders, exchanged)
    returns = PairedReturns(Returns(orders, paired), paired)
    assert returns.give_back(Return("r", 0, 1)).returned == 1
    exchanged.exchange(another)
    with pytest.raises(Unavailable):
        returns.give_back(Return("s", 0, 1))
    assert [one.key for one in orders.return_intents(10)] == ["s"]
    exchanged.exchange(catalog)
    Returns(orders, catalog).settle(orders.return_intents(10))
    assert catalog.product("Tux").quantity == 77
