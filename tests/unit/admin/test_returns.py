"""The command `return`, and what status and reconcile say of returns."""

import json
from pathlib import Path

import pytest

from tests.support.books import Books
from tests.support.forgery import forge
from tests.support.write_lock import write_lock
from tests.unit.admin.conftest import Run


def test_return_gives_pieces_of_an_order_back(run: Run, tmp_path: Path) -> None:
    code, out, err = run("return", "1", "1", "--note", "zu groß", "--key", "r")
    assert (code, err) == (0, "")
    assert out.startswith("Done. Order 1: 1 Tux given back at 20")
    assert out.endswith("Z, 1 of 2 by then. Key: r\n")
    assert run("return", "1", "1", "--note", "zu groß", "--key", "r") == (0, out, "")
    code, out, _ = run("return", "1", "--json")
    data = json.loads(out)
    assert len(data["key"]) == 32
    assert {name: data["return"][name] for name in ("number", "quantity", "returned")} == {
        "number": 1,
        "quantity": 1,
        "returned": 2,
    }
    books = Books.read(tmp_path)
    books.check()
    assert books.products["Tux"] == 79
    assert [number for _, number, _ in books.returns] == [1, 1]
    assert json.loads(run("status", "--json")[1])["returns"] == 2
    assert run("audit")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("1", "3"), "order 1 has 2 of its pieces left to give back, and not 3"),
        (("7",), "order not found"),
        (("1", "--key", "a"), "this Idempotency-Key was used for another product or quantity"),
    ],
)
def test_a_return_that_is_refused_changes_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    assert run("return", *arguments) == (1, "", f"return: {why}; nothing was changed\n")
    assert Books.read(tmp_path).returns == []


def test_return_needs_both_databases_of_one_store(run: Run, tmp_path: Path) -> None:
    forge(tmp_path / "order.db", f"INSERT OR REPLACE INTO store (id) VALUES ('{'0' * 32}')")
    code, _, err = run("return", "1")
    assert code == 2
    assert "nothing is changed between them" in err
    (tmp_path / "catalog.db").rename(tmp_path / "elsewhere.db")
    code, _, err = run("return", "1")
    assert code == 2
    assert "catalog.db" in err


def test_a_return_while_the_log_is_busy_names_the_key_to_repeat_it_with(run: Run, tmp_path: Path) -> None:
    with write_lock(tmp_path / "order.db"):
        code, _, err = run("return", "1", "--key", "r")
    assert code == 2
    assert "--key r" in err
    assert run("return", "1", "--key", "r")[0] == 0


def test_status_and_reconcile_name_a_return_in_doubt(run: Run, tmp_path: Path) -> None:
    forge(
        tmp_path / "order.db",
        "INSERT INTO return_intents (key, number, quantity, time) VALUES ('r', 1, 2, '2026-01-01T00:00:00.000Z')",
    )
    state = json.loads(run("status", "--json")[1])
    assert (state["intents"], state["return_intents"]) == (0, 1) and state["oldest_intent_s"] > 1000
    assert "0 buys, 1 return, the oldest for " in run("status")[1]
    code, out, _ = run("reconcile", "--apply")
    assert code == 0
    assert "│ r            │ 2 of order 1 back │ 2 pieces of order 1 given back │" in out
    Books.read(tmp_path).check()


def test_reconcile_repairs_an_order_and_then_its_return(run: Run, tmp_path: Path) -> None:
    run("return", "1", "--key", "r")
    forge(
        tmp_path / "order.db",
        "DELETE FROM returns; DELETE FROM orders WHERE number = 1; UPDATE sqlite_sequence SET seq = 0",
    )
    code, out, _ = run("reconcile", "--apply", "--json")
    assert code == 0
    outcomes = [(one["key"], one["outcome"]) for one in json.loads(out)["repaired"]]
    assert outcomes == [("b", "order 1"), ("r", "2 pieces of order 1 given back")]
    Books.read(tmp_path).check()
