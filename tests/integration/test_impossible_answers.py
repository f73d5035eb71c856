"""Replies of a catalog that no catalog sends."""

import pytest

from db.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.values import Buy
from tests.integration.test_tier_connection import length, reply, scripted
from wsgi_apps.clients import HttpCatalog


@pytest.mark.parametrize("price", [100_000_000_001, 2**63, 10**30])
def test_a_price_that_no_product_can_have_is_no_answer(orders: OrderStore, price: int) -> None:
    body = b'{"data": [%d]}\n' % price
    with scripted(reply(length(body), body=body)) as (_, client), pytest.raises(Unavailable):
        Checkout(orders, HttpCatalog(client)).place(Buy("k", "Tux", 1))


def test_one_such_price_does_not_take_their_answers_from_the_others(orders: OrderStore) -> None:
    body = b'{"data": [2599, %d]}\n' % 2**63
    with scripted(reply(length(body), body=body)) as (_, client):
        placed = Checkout(orders, HttpCatalog(client)).place_all([Buy("a", "Tux", 1), Buy("b", "Tux", 1)])
    assert placed == [0, Unavailable()]


@pytest.mark.parametrize("answers", [b"[]", b"[2599, 2599]", b"[2599, null]"])
def test_another_number_of_answers_than_questions_is_no_answer(answers: bytes) -> None:
    body = b'{"data": %s}\n' % answers
    with scripted(reply(length(body), body=body)) as (_, client), pytest.raises(Unavailable):
        HttpCatalog(client, retry=False).sell([Buy("k", "Tux", 1)])
