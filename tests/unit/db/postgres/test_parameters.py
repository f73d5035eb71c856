"""Tests of how a statement's parameters are translated."""

import pytest

from db.postgres.parameters import to_psycopg


@pytest.mark.parametrize(
    ("sql", "translated"),
    [
        ("SELECT :name, :other_1", "SELECT %(name)s, %(other_1)s"),
        ("SELECT :keys::text[]", "SELECT %(keys)s::text[]"),
        ("SELECT x::int", "SELECT x::int"),
        ("SELECT ':no', 'it''s :no', :yes", "SELECT ':no', 'it''s :no', %(yes)s"),
        ('SELECT ":no" AS "a "" :no"', 'SELECT ":no" AS "a "" :no"'),
        ("SELECT 1 -- :no\n, :yes", "SELECT 1 -- :no\n, %(yes)s"),
        ("SELECT /* :no\n */ :yes", "SELECT /* :no\n */ %(yes)s"),
        ("DO $x$ :no $y$ $x$", "DO $x$ :no $y$ $x$"),
        ("SELECT $$ :no $$, :yes", "SELECT $$ :no $$, %(yes)s"),
        ("SELECT 7 % 4, '50%', :yes", "SELECT 7 %% 4, '50%%', %(yes)s"),
        ("SELECT a[1:2]", "SELECT a[1:2]"),
    ],
)
def test_translates_parameters_and_nothing_else(sql: str, translated: str) -> None:
    assert to_psycopg(sql).decode() == translated
