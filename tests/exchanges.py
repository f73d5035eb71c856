"""The documented exchanges, and a program that checks them. exchanges.json is the contract with clients.

`make exchanges` checks a running store on any machine: FRONT=192.0.2.7 CATALOG=192.0.2.7 ORDER=192.0.2.7.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests

from conf.output import exit_code, open_streams
from conf.settings import Settings, load_or_exit
from wsgi_apps.bearer_auth import encode_authorization

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Reply:
    """The response of a tier."""

    status: int
    content_type: str | None
    body: str

    def __str__(self) -> str:
        return f"{self.status} {self.content_type} {self.body.strip()}"


@dataclass(frozen=True)
class Exchange:
    """One request and its documented reply. `<order number>` in the body matches any string of digits."""

    name: str
    tier: str
    method: str
    path: str
    status: int
    body: Any

    def check(self, status: int, content_type: str | None, body: str) -> None:
        """Asserts that a reply is as documented."""
        assert (status, content_type) == (self.status, "application/json")
        given = json.loads(body)
        assert list(given) == list(self.body), "the same members in the same order"
        assert _without_number(given) == self.body

    def is_answered_by(self, reply: Reply) -> bool:
        """Returns whether a reply is as documented."""
        try:
            self.check(reply.status, reply.content_type, reply.body)
        except (AssertionError, ValueError, TypeError, AttributeError):
            return False
        return True

    @property
    def expected(self) -> Reply:
        return Reply(self.status, "application/json", json.dumps(self.body, ensure_ascii=False))


EXCHANGES = [
    Exchange(**exchange) for exchange in json.loads(Path(__file__).with_name("exchanges.json").read_text())["exchanges"]
]


def _without_number(body: Any) -> Any:
    """Returns the body with the placeholder in place of an order number."""
    data = body.get("data")
    if isinstance(data, dict) and re.fullmatch("[0-9]+", str(data.get("order_number"))):
        assert isinstance(data["order_number"], str)
        return {"data": {**data, "order_number": "<order number>"}}
    return body


class Store:
    """A running store, known by the addresses of its tiers."""

    def __init__(self, settings: Settings) -> None:
        self.urls = {tier.name: tier.address.url for tier in settings.tiers}
        self._headers_behind: dict[str, str] = {}  # for the tiers behind the front end
        if settings.secrets is not None:
            self._headers_behind["Authorization"] = encode_authorization(settings.secrets.values[0])
        self._session = requests.Session()
        self._session.trust_env = False  # without the proxy settings of this machine

    def ask(self, exchange: Exchange) -> Reply:
        """Sends the request of an exchange. Raises requests.RequestException."""
        headers: Mapping[str, str] = {} if exchange.tier == "front_end" else self._headers_behind
        url = self.urls[exchange.tier] + exchange.path
        response = self._session.request(exchange.method, url, headers=headers, timeout=TIMEOUT_S)
        return Reply(response.status_code, response.headers.get("Content-Type"), response.text)


def with_current_stock(store: Store) -> list[Exchange]:
    """Returns the exchanges with the current stock of the store's catalog, since the store may have sold before."""
    adapted = []
    for exchange in EXCHANGES:
        match exchange.body:
            case {"data": {"quantity": int(), **product}}:
                query = Exchange("", "catalog", "GET", f"/products/{product['name']}", 200, None)
                try:
                    stock = json.loads(store.ask(query).body)["data"]["quantity"]
                except (ValueError, KeyError, TypeError):
                    stock = exchange.body["data"]["quantity"]
                adapted.append(replace(exchange, body={"data": {**exchange.body["data"], "quantity": stock}}))
            case _:
                adapted.append(exchange)
    return adapted


def main(arguments: Sequence[str]) -> int:
    """Checks a running store. Returns 0 when every reply is as documented, 1 when one is not, 2 without an answer.

    --help and unknown arguments end the program before it buys.
    """
    argparse.ArgumentParser(
        prog="python -m tests.exchanges",
        description="Check the 13 documented replies of a running store. This buys twice, and takes a third piece.",
        epilog="FRONT, CATALOG, ORDER and TIER_SECRET are those of the store, see README.md. Exit code: 0 all replies "
        "are as documented, 1 one is not, 2 a tier does not answer.",
    ).parse_args(arguments)
    store = Store(load_or_exit())
    print("Checks the store at " + ", ".join(store.urls.values()) + ".")
    print(
        "It buys a Whale and an Elephant and takes a Bird from the stock; all other requests are refused or only read.",
        flush=True,
    )
    failed = 0
    try:
        for exchange in with_current_stock(store):
            reply = store.ask(exchange)
            if exchange.is_answered_by(reply):
                print(f"  pass  {exchange.name}")
            else:
                failed += 1
                print(f"  FAIL  {exchange.name}: {exchange.method} {store.urls[exchange.tier]}{exchange.path}")
                print(f"          expected  {exchange.expected}\n          actual    {reply}", flush=True)
    except requests.RequestException as error:
        print(f"exchanges: no answer: {error}", file=sys.stderr)
        return 2
    print(f"{len(EXCHANGES) - failed} of {len(EXCHANGES)} replies are as documented.")
    if failed:
        print("The documented replies are those of the first products, conf/database.txt, with a piece left of each.")
    return 1 if failed else 0


if __name__ == "__main__":
    open_streams()
    sys.exit(exit_code(main(sys.argv[1:]), 2, "exchanges"))
