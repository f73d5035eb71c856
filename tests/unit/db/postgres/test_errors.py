"""Tests of the groups of PostgreSQL's errors."""

import psycopg
import pytest
from psycopg.errors import lookup

from db.postgres.connection import NoAnswer
from db.postgres.errors import Kind, explain, explain_to_shopper, kind_of


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        ("08000 08001 08003 08004 08006 08P01 57P01 57P02 57P03 57P05 25006 25P03", Kind.LOST),
        ("40001 40P01 55P03", Kind.CONFLICT),
        ("0A000 26000", Kind.STALE),
        ("53300", Kind.BUDGET),
        ("53100 53200 57014 58030", Kind.FULL),
        ("42501 57P04", Kind.REFUSED),
        ("XX001 XX002", Kind.DAMAGE),
        ("23505 23514 22003 42P01 42601 25P02 P0001 XX000", Kind.MISTAKE),
    ],
)
def test_each_sqlstate_has_its_kind(states: str, kind: Kind) -> None:
    assert {state: kind_of(lookup(state)()) for state in states.split()} == dict.fromkeys(states.split(), kind)


def test_an_error_of_the_connection_has_no_sqlstate() -> None:
    assert kind_of(psycopg.OperationalError("server closed the connection unexpectedly")) is Kind.LOST
    assert kind_of(NoAnswer("the server has not answered")) is Kind.LOST


def test_a_misuse_of_the_library_is_a_mistake() -> None:
    assert (
        kind_of(psycopg.ProgrammingError("the query has 2 placeholders but 1 parameters were passed")) is Kind.MISTAKE
    )


def test_too_many_connections_are_explained() -> None:
    """libpq passes on no SQLSTATE while it connects."""
    words = "FATAL:  sorry, too many clients already"
    for error in (lookup("53300")(words), psycopg.OperationalError(f"connection failed: {words}")):
        assert "raise its max_connections, or run fewer processes" in explain(error)


def test_an_explanation_is_one_line() -> None:
    assert explain(psycopg.OperationalError("it fails\n  at a place")) == "it fails"
    assert explain(psycopg.OperationalError("")) == "OperationalError"


def test_the_errors_of_several_hosts_are_all_told() -> None:
    error = psycopg.OperationalError(
        "the last\nMultiple attempts failed:\n- host: 'a': refused\n- host: 'b':  the last"
    )
    assert explain(error) == "host: 'a': refused; host: 'b': the last"


def test_a_shopper_reads_no_address_and_is_not_told_to_retry_in_vain() -> None:
    assert explain_to_shopper(lookup("XX001")("page 7 of /var/lib/x")) == "the store's data is damaged"
    assert explain_to_shopper(lookup("57P03")("host 10.0.0.1")) == "the store cannot reach its data, try again"
