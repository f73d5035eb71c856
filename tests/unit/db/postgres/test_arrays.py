"""Lists that are sent to PostgreSQL come back as they were."""

from collections.abc import Iterator
from contextlib import closing

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from db.postgres.connection import Connection, connect
from tests.support.postgres import TestServer

texts = st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
odd_texts = st.lists(st.text("\\\"{},' \n\tNULnul0", max_size=5))


@pytest.fixture(scope="module")
def connection(postgres_server: TestServer) -> Iterator[Connection]:
    with postgres_server.database() as address, closing(connect(address, "public")) as connection:
        yield connection


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(texts | odd_texts)
def test_texts_come_back_as_they_were(connection: Connection, values: list[str | None]) -> None:
    [(echoed,)] = connection.execute("SELECT %(values)s::text[]", {"values": values}).fetchall()
    assert echoed == values


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_numbers_come_back_as_they_were(connection: Connection, values: list[int | None]) -> None:
    [(echoed,)] = connection.execute("SELECT %(values)s::bigint[]", {"values": values}).fetchall()
    assert echoed == values
