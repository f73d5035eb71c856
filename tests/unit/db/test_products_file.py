"""A products file has a name, a price and a quantity on each line; a malformed line is named."""

from pathlib import Path

import pytest

from db.products_file import read_products
from db.start import StartRefused
from domain.values import Product
from tests.conftest import PRODUCTS


def read(tmp_path: Path, text: str | bytes) -> list[Product]:
    path = tmp_path / "products.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_products(path)


def test_the_first_products_are_the_documented_ones() -> None:
    assert read_products(PRODUCTS) == [
        Product("Tux", 2599, 80),
        Product("Whale", 3499, 94),
        Product("Elephant", 2999, 87),
        Product("Bird", 3999, 98),
    ]


@pytest.mark.parametrize(
    ("line", "product"),
    [
        ("1 Tux 25.99 80", Product("Tux", 2599, 80)),
        ("Tux 25.9 80", Product("Tux", 2590, 80)),
        ("Tux 25 0", Product("Tux", 2500, 0)),
        ('"Blue Whale" 1.05 3 # rare', Product("Blue Whale", 105, 3)),
        ('"C#" 0 1\r', Product("C#", 0, 1)),
        ("Cafe\u0301 1 1", Product("Caf\u00e9", 100, 1)),
        ("2 1 1", Product("2", 100, 1)),
        (r"Tu\x 1 1", Product(r"Tu\x", 100, 1)),
    ],
)
def test_a_line_is_name_price_quantity(tmp_path: Path, line: str, product: Product) -> None:
    assert read(tmp_path, f"# a comment\n\n{line}\n") == [product]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfTux 1 1") == [Product("Tux", 100, 1)]


@pytest.mark.parametrize(
    "line",
    [
        "Tux 25.99",
        "Tux 25.99 80 9",
        "Tux -1 80",
        "Tux 1.234 80",
        "Tux 1,5 80",
        "Tux 1 -8",
        "Tux 1 1.5",
        "Tux 1000000001 1",
        "Tux 1 1000000001",
        ".. 1 1",
        "a/b 1 1",
        '"" 1 1',
        '" Cat" 1 1',
        '"Tux 1 1',
        "Bird 1 1",
        "Bi\u200brd 1 1",
        '"\u2764 \u2764" 1 1\n"\u2764\ufe0f \u2764" 1 1',
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(StartRefused, match=r"products\.txt, line [23]: .*nothing was loaded"):
        read(tmp_path, f"Bird 1 1\n{line}\nWhale 1 1")


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="nowhere"):
        read_products(tmp_path / "nowhere")
    with pytest.raises(StartRefused, match="utf-8"):
        read(tmp_path, b"\xff 1 1")
