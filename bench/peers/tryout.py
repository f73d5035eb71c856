"""Checks the replies of a system before the load."""

import http.client
import json
from typing import Any

from bench.load import Request
from bench.peers.system import LAST, STOCK, System


def try_out(system: System) -> None:
    """Asserts that a query shows the stock, a buy takes a piece of it, and a sold-out product is refused.

    A system without state cannot take a piece: only the form of its replies is checked.
    """
    before = _stock(system, 0)
    _buy(system, 0)
    if system.database is None:
        return
    assert before == STOCK, f"the query shows a stock of {before}"
    after = _stock(system, 0)
    assert after == STOCK - 1, f"after the buy the query shows a stock of {after}"
    _buy(system, LAST)
    status, reply = ask(system.url, system.buy(LAST))
    assert 400 <= status < 500, f"a product that is sold out is answered {status} {reply}"
    left = _stock(system, LAST)
    assert left == 0, f"the sold-out product has a stock of {left}"


def ask(url: str, request: Request) -> tuple[int, Any]:
    """Sends a request, and returns status and JSON of the reply. Raises AssertionError when it is not JSON."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        headers = {"Content-Type": "application/json"} if request.body else {}
        connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    try:
        return response.status, json.loads(text)
    except ValueError:
        raise AssertionError(f"{request.method} {request.path} is answered {response.status} {text!r}") from None


def _stock(system: System, product: int) -> int:
    """Returns the stock that a query shows. Raises AssertionError when its reply is wrong."""
    status, reply = ask(system.url, system.query(product))
    try:
        assert status == 200
        return system.stock_in(reply)
    except (AssertionError, LookupError, TypeError):
        raise AssertionError(f"a query is answered {status} {reply}") from None


def _buy(system: System, product: int) -> None:
    """Buys a piece. Raises AssertionError when the reply is wrong."""
    status, reply = ask(system.url, system.buy(product))
    try:
        assert status == 200 and system.order_in(reply)
    except (AssertionError, LookupError, TypeError):
        raise AssertionError(f"a buy is answered {status} {reply}") from None
