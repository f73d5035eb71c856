"""The commands that change a product or accept a discrepancy: once for a key, with one-line errors."""

import json
import os
from pathlib import Path

import apsw
import pytest

from db.sqlite.backup import backup
from tests.support.backups import no_progress
from tests.support.books import Books
from tests.support.forgery import forge
from tests.unit.admin.conftest import Run


def test_each_change_is_made_once_for_its_key(run: Run, tmp_path: Path) -> None:
    for arguments, state in (
        (("add", "Cat", "1.50", "3"), "3 pieces at 1.50"),
        (("restock", "Cat", "2"), "5 pieces at 1.50"),
        (("price", "Cat", "1"), "5 pieces at 1.00"),
        (("writeoff", "Cat", "1", "--note", "fell off the shelf"), "4 pieces at 1.00"),
        (("correct", "Cat", "7", "--note", "counted [twice]"), "7 pieces at 1.00"),
        (("retire", "Cat"), "not for sale any more"),
    ):
        key = f"key-{arguments[0]}"
        assert run(*arguments, "--key", key) == (0, f"Done. Cat: {state}. Key: {key}\n", "")
        assert run(*arguments, "--key", key) == (0, f"Already done. Cat: {state}. Key: {key}\n", "")
    Books.read(tmp_path).check()
    assert run("audit")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "Cat", "1.50", "3"),
        ("restock", "Tux", "2"),
        ("price", "Tux", "1"),
        ("writeoff", "Tux", "1", "--note", "broken"),
        ("correct", "Tux", "7", "--note", "counted"),
        ("retire", "Tux"),
    ],
)
def test_a_change_needs_catalog_db_only(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """The container of the catalog tier has no order log in its volume."""
    backup(tmp_path, tmp_path / "alone", no_progress)
    (tmp_path / "alone" / "order.db").unlink()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "alone"))
    code, out, err = run(*arguments)
    assert (code, out[:5], err) == (0, "Done.", "")
    assert sorted(path.name for path in (tmp_path / "alone").iterdir()) == ["catalog.db"]


def test_an_accepted_discrepancy_is_shown_as_accepted(run: Run, tmp_path: Path) -> None:
    forge(
        tmp_path / "order.db", "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('mine', 'Tux', 1, 1)"
    )
    [wrong] = json.loads(run("audit", "--json")[1])["discrepancies"]
    fingerprint = wrong["fingerprint"]
    code, out, _ = run("audit")
    assert code == 1 and f"│ I3      │ order 2, key mine │ ordered, but never sold │ {fingerprint} │" in out
    accept = ("accept", fingerprint, "--note", "a gift [to Bär]", "--key", "k")
    done = f"Accepted {fingerprint}: I3, order 2, key mine: ordered, but never sold. Key: k\n"
    assert run(*accept) == (0, f"Done. {done}", "")
    assert run(*accept) == (0, f"Already done. {done}", "")
    code, out, _ = run("audit")
    assert code == 0
    assert "│ ordered, but never sold │ a gift [to Bär], " in out and "Clean, 1 accepted: 3 orders" in out
    result = json.loads(run("audit", "--json")[1])
    assert (result["clean"], result["discrepancies"]) == (True, [])
    [accepted] = result["accepted"]
    assert accepted.pop("time").startswith("20") and accepted.pop("by")
    assert accepted == {
        "promise": "I3",
        "where": "order 2, key mine",
        "what": "ordered, but never sold",
        "fingerprint": fingerprint,
        "note": "a gift [to Bär]",
    }
    assert run("reconcile")[:2] == (0, "Nothing is left to repair.\n")


def test_an_accepted_discrepancy_that_is_gone_is_already_accepted(run: Run, tmp_path: Path) -> None:
    forge(
        tmp_path / "order.db", "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('mine', 'Tux', 1, 1)"
    )
    [wrong] = json.loads(run("audit", "--json")[1])["discrepancies"]
    accept = ("accept", wrong["fingerprint"], "--note", "a gift", "--key", "k")
    assert run(*accept)[0] == 0
    forge(tmp_path / "order.db", "DELETE FROM orders WHERE key = 'mine'; UPDATE sqlite_sequence SET seq = 1")
    assert run(*accept)[:2] == (0, f"Already done. Accepted {wrong['fingerprint']}: not found any more. Key: k\n")
    result = json.loads(run(*accept, "--json")[1])
    assert result == {"done": "before", "key": "k", "discrepancy": None}


def test_accept_refuses_a_discrepancy_that_the_audit_does_not_find(run: Run) -> None:
    code, out, err = run("accept", "0123456789ab", "--note", "never mind")
    assert (code, out) == (1, "")
    assert err == "accept: the audit finds no discrepancy 0123456789ab; nothing was changed\n"


def test_accept_stores_the_number_of_a_user_without_a_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container often runs as such a user."""

    def nobody(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    forge(Path(os.environ["DATA_DIR"]) / "catalog.db", "UPDATE products SET price_cents = 1 WHERE name = 'Tux'")
    [wrong] = json.loads(run("audit", "--json")[1])["discrepancies"]
    assert run("accept", wrong["fingerprint"], "--note", "sale")[0] == 0
    assert json.loads(run("audit", "--json")[1])["accepted"][0]["by"] == f"user {os.getuid()}"


def test_the_json_of_a_change_says_whether_it_was_made_before(run: Run) -> None:
    for done in ("now", "before"):
        result = json.loads(run("restock", "Tux", "3", "--key", "k", "--json")[1])
        assert result["done"] == done
        assert (result["key"], result["product"]["quantity"]) == ("k", 80)


def test_a_change_without_a_key_gets_a_new_key(run: Run) -> None:
    keys = {run("restock", "Tux", "1")[1].rpartition(" ")[2] for _ in range(2)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("restock", "Nix", "1"), "restock: there is no 'Nix'; nothing was changed"),
        (("price", "Tux", "1", "--key", "a"), "price: the key 'a' stands for something else already (sold: 'Tux')"),
        (("add", "Tux", "1", "1"), "add: there is or was a 'Tux' already"),
        (
            ("writeoff", "Tux", "78", "--note", "stolen"),
            "writeoff: the stock of 'Tux' is 77 pieces, and not 78; nothing was changed",
        ),
        (("correct", "Nix", "7", "--note", "counted"), "correct: there is no 'Nix'; nothing was changed"),
    ],
)
def test_a_refused_change_is_one_line_and_exit_code_1(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    before = Books.read(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(why) and err.count("\n") == 1
    assert Books.read(tmp_path) == before


def test_a_busy_store_is_one_line_with_the_key_for_a_retry(run: Run, tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "catalog.db"))
    other.execute("BEGIN IMMEDIATE")
    code, _, err = run("restock", "Tux", "1", "--key", "k")
    other.close()
    assert (code, err) == (2, "toy store: the store is busy, try again with --key k\n")
