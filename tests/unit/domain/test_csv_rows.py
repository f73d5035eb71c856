"""CSV for programs and spreadsheets: quoted as RFC 4180 says, and without formulas."""

import csv
import io

import pytest

from domain.csv_rows import Cell, amount, encode_rows

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠A1", " =1+1"]


def test_a_text_is_quoted_where_it_must_be() -> None:
    rows: list[list[Cell]] = [["name", "pieces"], ['6" ruler, wooden', 3], ["two\r\nlines", None]]
    assert encode_rows(rows) == b'name,pieces\r\n"6"" ruler, wooden",3\r\n"two\r\nlines",\r\n'


def test_a_program_reads_what_was_written() -> None:
    rows = [["Tux", "26.00"], ["\u05e9\u05dc\u05d5\u05dd, 🐧", '"'], ["", ";"]]
    text = encode_rows(rows).decode()
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == rows


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_is_no_formula(text: str) -> None:
    [[cell]] = csv.reader(io.StringIO(encode_rows([[text]]).decode(), newline=""), strict=True)
    assert cell == f"'{text}"


@pytest.mark.parametrize("text", [";=1+1", "x;=1+1", "x; @SUM(A1)", '";+1', "x;-1", "x;y;＝1"])
def test_a_text_is_no_formula_where_semicolons_separate_the_cells(text: str) -> None:
    """As in spreadsheets of countries with a decimal comma. A shopper chooses the key of an order."""
    line = encode_rows([[1, text]]).decode().rstrip("\r\n")
    cells = line.split(";")
    assert len(cells) > 1
    assert not any(cell.strip(' "').startswith(tuple("=+-@＝")) for cell in cells)


def test_a_semicolon_alone_changes_no_text() -> None:
    assert encode_rows([["a;b; c", "a-b=c"]]) == b"a;b; c,a-b=c\r\n"


def test_a_negative_number_stays_a_number() -> None:
    assert encode_rows([[-1, 5]]) == b"-1,5\r\n"


@pytest.mark.parametrize(
    ("cents", "text"), [(0, "0.00"), (5, "0.05"), (-2598, "-25.98"), (10**17 + 1, "1000000000000000.01")]
)
def test_an_amount_is_an_exact_number(cents: int, text: str) -> None:
    assert encode_rows([[amount(cents)]]).decode() == f"{text}\r\n"
