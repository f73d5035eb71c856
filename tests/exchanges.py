"""The documented exchanges, and how a reply is held against one. exchanges.json is the contract with clients."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Exchange:
    """One request and its reply. `<order number>` in the body stands for a string of digits."""

    name: str
    tier: str
    method: str
    path: str
    status: int
    body: Any

    def check(self, status: int, content_type: str | None, body: str) -> None:
        assert (status, content_type) == (self.status, "application/json")
        given = json.loads(body)
        assert list(given) == list(self.body), "the same members in the same order"
        assert _without_number(given) == self.body


EXCHANGES = [
    Exchange(**exchange) for exchange in json.loads(Path(__file__).with_name("exchanges.json").read_text())["exchanges"]
]


def _without_number(body: Any) -> Any:
    data = body.get("data")
    if isinstance(data, dict) and re.fullmatch("[0-9]+", str(data.get("order_number"))):
        assert isinstance(data["order_number"], str)
        return {"data": {**data, "order_number": "<order number>"}}
    return body
