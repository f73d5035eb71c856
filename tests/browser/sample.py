"""A store to look at: two dozen toys, and a month of orders."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import requests

from tests.browser.desk import SECRET, Desk, desk_of_a_store
from tests.faults.jumping_clock import JumpingClock
from tests.support.tiers import products_file

# Name, price, and pieces at first. A few are sold out, or nearly, after the month.
TOYS = (
    ("Tux the penguin", "25.99", 80),
    ("Blue whale", "34.99", 64),
    ("Elephant on wheels", "29.99", 87),
    ("Song bird", "39.99", 98),
    ("Wooden train", "48.50", 30),
    ("Marble run", "59.00", 24),
    ("Paper kite", "12.90", 120),
    ("Spinning top", "6.50", 200),
    ("Building blocks", "27.00", 75),
    ("Tin robot", "32.00", 23),
    ("Rag doll", "22.40", 36),
    ("Rocking horse", "119.00", 6),
    ("Music box", "44.00", 18),
    ("Puppet theatre", "74.90", 12),
    ("Yo-yo", "4.20", 140),
    ("Toy drum", "18.80", 28),
    ("Jigsaw, 500 pieces", "15.00", 90),
    ("Plush fox", "24.50", 52),
    ("Sailing boat", "36.70", 22),
    ("Fire engine", "28.90", 12),
    ("Magic cards", "9.99", 160),
    ("Hand puppet", "16.30", 14),
    ("Abacus", "13.70", 44),
    ("Teddy bear", "31.50", 66),
    ("Toy telescope", "42.00", 17),
    ("Skipping rope", "7.80", 110),
)
DAYS = 30
ORDERS_A_DAY = 6
FAVOURITES = ("Rocking horse", "Tin robot", "Toy telescope", "Tux the penguin", "Sailing boat", "Puppet theatre")


@contextmanager
def sample_store(folder: Path) -> Iterator[Desk]:
    """Runs the store in a new folder until the end of the block. The same orders are placed in each run."""
    clock = JumpingClock(folder)
    products = products_file(folder, *(f'"{name}" {price} {quantity}' for name, price, quantity in TOYS))
    settings = {"PRODUCTS": products, "CURRENCY": "EUR", **clock.environment}
    clock.set_ahead(-timedelta(days=DAYS))
    with desk_of_a_store(folder / "data", **settings) as desk:
        rng = random.Random(4)
        for day in range(-DAYS + 1, 1):
            clock.set_ahead(timedelta(days=day))
            for number in range(rng.randint(ORDERS_A_DAY // 2, 2 * ORDERS_A_DAY)):
                name = rng.choice([*FAVOURITES, *(toy for toy, _, _ in TOYS)])
                _buy(desk, name, rng.choice((1, 1, 1, 2, 2, 3)), f"sample-{day + DAYS:02}-{number:02}")
        _give_back(desk, 3, 1)
        _give_back(desk, 17, 1)
        yield desk


def _buy(desk: Desk, name: str, quantity: int, key: str) -> None:
    """Buys at the front end. A buy may be refused, since toys sell out."""
    reply = requests.post(f"{desk.shop.url}/{quote(name)}/{quantity}", headers={"Idempotency-Key": key}, timeout=60)
    assert reply.status_code in (200, 404), reply.text


def _give_back(desk: Desk, number: int, quantity: int) -> None:
    """Takes pieces of an order back, as the owner."""
    reply = requests.post(
        f"{desk.tiers.url('order')}/orders/{number}/returns",
        json={"quantity": quantity, "note": "the wrong colour"},
        headers={"Idempotency-Key": f"sample-return-{number}", "Authorization": f"Bearer {SECRET}"},
        timeout=60,
    )
    assert reply.status_code == 200, reply.text
