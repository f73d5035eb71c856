"""Rows in the text format of PostgreSQL's COPY: what is written is what PostgreSQL writes, and is read back."""

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from db.postgres.copies.text import decode_row, encode_row

# PostgreSQL stores no U+0000, and UTF-8 has no lone surrogates.
TEXTS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))
ODD = ["", "\\N", "a\tb", "\\", "line\nbreak\r", "\b\f\v", "é 🦆", "\\\\n", "\x7f", "'\"", "\\."]


@given(st.lists(st.one_of(st.none(), TEXTS), min_size=1))
def test_a_row_is_read_as_it_was_written(row: list[str | None]) -> None:
    assert decode_row(encode_row(row)) == row


def test_numbers_are_texts_in_the_row() -> None:
    assert encode_row([1, -2, None, "a"]) == b"1\t-2\t\\N\ta\n"


def test_postgres_reads_and_writes_the_same_bytes(other: psycopg.Connection[tuple[object, ...]]) -> None:
    line = encode_row([*ODD, None])
    names = [f"c{number}" for number in range(len(ODD) + 1)]
    other.execute(f"CREATE TEMPORARY TABLE odd ({', '.join(f'{name} text' for name in names)})".encode())
    with other.cursor() as cursor:
        with cursor.copy("COPY odd FROM STDIN") as copy:
            copy.write(line)
        assert cursor.execute("SELECT * FROM odd").fetchall() == [(*ODD, None)]
        with cursor.copy("COPY odd TO STDOUT") as copy:
            assert b"".join(copy) == line
