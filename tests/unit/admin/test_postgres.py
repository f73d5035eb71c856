"""The owner's program on PostgreSQL: each command works there, or says what to use instead."""

import json
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from werkzeug.wrappers import Response

from db.postgres.catalog import CatalogStore
from db.postgres.copies.copy_in import copy_in
from db.postgres.copies.moment import Addresses
from db.postgres.database import Database
from db.postgres.order import OrderStore
from db.postgres.owner_orders import OwnerOrderStore
from domain.values import Buy
from tests.support.backups import no_progress
from tests.support.stub_server import stub_server
from tests.support.tiers import ROOT
from tests.unit.admin.conftest import Run

VARIABLES = ("CATALOG_DATABASE", "ORDER_DATABASE")
UNREACHABLE = "postgresql://owner:hunter2@127.0.0.1:1/toys?connect_timeout=1"


@pytest.fixture
def address(store: Path, postgres_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the same store on PostgreSQL, which the settings name. DATA_DIR has none."""
    copy_in(store, Addresses(postgres_address, postgres_address), no_progress)
    monkeypatch.setenv("DATA_DIR", str(store / "nowhere"))
    set_addresses(monkeypatch, postgres_address)
    return postgres_address


def set_addresses(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Sets both addresses."""
    for variable in VARIABLES:
        monkeypatch.setenv(variable, address)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def forge(address: str, schema: str, sql: str) -> None:
    """Runs `sql` past the triggers."""
    with psycopg.connect(address) as shell:
        shell.execute("SET session_replication_role = replica")
        shell.execute(f"SET search_path = {schema}".encode())
        shell.execute(sql.encode())


def test_status_counts_the_rows_there(address: str, run: Run) -> None:
    code, out, err = run("status")
    assert (code, err) == (0, "")
    for text in ("4, 0 of them retired", "356 pieces", "1: 2 Tux, 20", "schema catalog", "version 1"):
        assert text in out
    forge(address, "log", "INSERT INTO intents (key, product, quantity) VALUES ('k', 'Tux', 1)")
    state = json.loads(run("status", "--json")[1])
    assert (state["orders"], state["refused"], state["ledger_entries"], state["intents"]) == (2, 1, 6, 1)
    assert 0 <= state["oldest_intent_s"] < 60
    assert all(file["bytes"] > 0 for file in state["files"])


def test_an_audit_reads_a_copy_and_leaves_none(address: str, run: Run, temporary: Path) -> None:
    code, out, err = run("audit")
    assert (code, err) == (0, "")
    assert out.startswith("Clean: 2 orders, 1 refused buy, 6 ledger entries of 4 products, 0 returns; in doubt: none; ")
    assert list(temporary.iterdir()) == []


def test_an_audit_is_recorded_for_the_desk(address: str, run: Run) -> None:
    with closing(Database(address, "log")) as database:
        books = OwnerOrderStore(database)
        assert books.books().audit is None
        run("audit")
        clean = books.books().audit
        forge(address, "catalog", "UPDATE products SET quantity = 7 WHERE name = 'Tux'")
        run("reconcile")
        wrong = books.books().audit
    assert clean is not None and clean.is_clean
    assert wrong is not None and not wrong.is_clean
    assert (wrong.last_clean, wrong.discrepancies) == (
        clean.time,
        ["I1, Tux: has 7 pieces in stock, but 77 by its ledger"],
    )


def test_an_audit_names_what_is_wrong_there(address: str, run: Run) -> None:
    forge(address, "catalog", "UPDATE products SET quantity = 7 WHERE name = 'Tux'")
    code, out, _ = run("audit")
    assert code == 1
    assert "has 7 pieces in stock, but 77 by its ledger" in out


def test_a_buy_that_is_young_is_in_doubt_and_no_discrepancy(address: str, run: Run) -> None:
    forge(address, "log", "INSERT INTO intents (key, product, quantity) VALUES ('k', 'Tux', 1)")
    code, out, _ = run("audit")
    assert code == 0 and "in doubt: 1 buy" in out
    forge(address, "log", "UPDATE intents SET time = '2026-01-01T00:00:00.000Z'")
    assert run("audit")[0] == 1


def test_reconcile_appends_the_order_that_is_missing(address: str, run: Run) -> None:
    with closing(Database(address, "catalog")) as database:
        CatalogStore(database).sell([Buy("lost", "Whale", 3)])
    assert run("reconcile")[0] == 1
    code, out, _ = run("reconcile", "--apply", "--json")
    assert (code, json.loads(out)["repaired"]) == (0, [{"key": "lost", "outcome": "order 2"}])
    with closing(Database(address, "log")) as database:
        assert OrderStore(database).order(2).product == "Whale"
    assert run("audit")[0] == 0


def test_a_change_of_a_product_is_made_once(address: str, run: Run) -> None:
    assert run("restock", "Tux", "5", "--key", "more")[1] == "Done. Tux: 82 pieces at 25.99. Key: more\n"
    assert run("restock", "Tux", "5", "--key", "more")[1] == "Already done. Tux: 82 pieces at 25.99. Key: more\n"
    code, _, err = run("price", "Tux", "9", "--key", "more")
    assert (code, "the key 'more' stands for something else" in err) == (1, True)
    for change in (
        ("price", "Tux", "9"),
        ("writeoff", "Tux", "1", "--note", "n"),
        ("correct", "Bird", "3", "--note", "n"),
        ("add", "Cat", "12.50", "40"),
        ("retire", "Whale"),
    ):
        assert run(*change)[0] == 0, change
    assert run("audit")[0] == 0


def test_an_order_is_given_back(address: str, run: Run) -> None:
    code, out, _ = run("return", "1", "--key", "back")
    assert (code, out.startswith("Done. Order 1: 2 Tux given back at ")) == (0, True)
    assert run("return", "1", "--key", "back")[0] == 0
    assert run("audit")[0] == 0


def test_a_discrepancy_is_accepted_once(address: str, run: Run) -> None:
    forge(address, "log", "UPDATE orders SET price_cents = 1 WHERE number = 0")
    [found] = json.loads(run("audit", "--json")[1])["discrepancies"]
    accept = ("accept", found["fingerprint"], "--note", "a forged price", "--key", "signed")
    assert run(*accept)[1].startswith("Done. Accepted")
    assert run(*accept)[1].startswith("Already done. Accepted")
    code, _, err = run(*accept[:-1], "other")
    assert (code, "was accepted already" in err) == (1, True)
    code, out, _ = run("audit")
    assert (code, "1 accepted" in out) == (0, True)


@pytest.mark.parametrize("command", [("orders",), ("orders", "--csv"), ("orders", "--json"), ("report",)])
def test_reports_are_the_same_as_from_the_files(
    address: str, store: Path, run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    there = run(*command)
    for variable in VARIABLES:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("DATA_DIR", str(store))
    assert there == run(*command)
    assert there[0] == 0


def test_copies_go_out_and_in(address: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run("copy-out", str(tmp_path / "copy"))
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path / 'copy'} is complete. Clean: 2 orders, ")
    code, _, err = run("copy-in", str(tmp_path / "copy"))
    assert (code, "catalog.products has rows already" in err) == (2, True)
    forge(address, "catalog", "DROP SCHEMA catalog CASCADE; DROP SCHEMA log CASCADE")
    code, out, err = run("copy-in", str(tmp_path / "copy"))
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path / 'copy'} is on PostgreSQL. Clean: 2 orders, 1 refused buy, ")
    assert json.loads(run("copy-out", str(tmp_path / "again"), "--json")[1])["clean"] is True


def test_copy_in_refuses_while_a_tier_runs(
    address: str, run: Run, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stub_server(lambda _request: Response("")) as port:
        monkeypatch.setenv("ORDER_BIND", f"127.0.0.1:{port}")
        code, _, err = run("copy-in", str(store))
    assert (code, f"the order tier runs at 127.0.0.1:{port}: stop the store" in err) == (2, True)


def test_files_are_neither_backed_up_nor_restored(address: str, run: Run, store: Path, tmp_path: Path) -> None:
    code, _, err = run("backup", str(tmp_path / "b"))
    assert (code, "the store is on PostgreSQL: python -m admin copy-out copies its books" in err) == (2, True)
    code, _, err = run("restore", str(store))
    assert (code, "python -m admin copy-in brings a backup there" in err) == (2, True)
    assert run("restore", str(store), "--into", str(tmp_path / "files"))[0] == 0


def test_one_address_is_enough_for_what_needs_one(
    address: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ORDER_DATABASE")
    assert run("restock", "Tux", "1")[0] == 0
    for command in (("orders",), ("audit",), ("status",), ("return", "1"), ("copy-out", str(tmp_path / "out"))):
        code, _, err = run(*command)
        assert (code, "ORDER_DATABASE is not set, and this command needs it" in err) == (2, True), command
    monkeypatch.setenv("ORDER_DATABASE", address)
    monkeypatch.delenv("CATALOG_DATABASE")
    assert run("orders")[0] == 0
    assert "CATALOG_DATABASE is not set" in run("restock", "Tux", "1")[2]


def test_without_any_address_nothing_is_copied(store: Path, run: Run, tmp_path: Path) -> None:
    code, _, err = run("copy-out", str(tmp_path / "out"))
    assert (code, "CATALOG_DATABASE is not set" in err) == (2, True)


@pytest.mark.parametrize("command", [("status",), ("audit",), ("restock", "Tux", "1"), ("orders",), ("return", "1")])
def test_a_server_that_is_not_there_is_told(
    store: Path, run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    set_addresses(monkeypatch, UNREACHABLE)
    code, out, err = run(*command)
    assert (code, out, "hunter2" in err) == (2, "", False)
    assert "postgresql://127.0.0.1:1/toys" in err


def test_a_wrong_address_is_named_without_its_password(store: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    set_addresses(monkeypatch, "postgresql://owner:hunter2@host:port/toys?no_such_option=1")
    code, _, err = run("status")
    assert (code, "hunter2" in err) == (2, False)
    assert "CATALOG_DATABASE is no address that PostgreSQL's libpq reads" in err


def test_a_schema_that_is_not_there_is_told(
    store: Path, run: Run, postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_addresses(monkeypatch, postgres_address)
    for command in (("status",), ("restock", "Tux", "1"), ("orders",), ("return", "1")):
        code, _, err = run(*command)
        assert (code, "is not there, or is none of this store's" in err) == (2, True), command


def test_without_psycopg_the_package_is_named(store: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    set_addresses(monkeypatch, UNREACHABLE)
    monkeypatch.delitem(sys.modules, "admin.stores.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as if it were not installed
    code, _, err = run("status")
    assert (code, "make install-postgres" in err) == (2, True)


def test_the_files_need_no_psycopg(store: Path) -> None:
    script = "import sys; sys.modules['psycopg'] = None; from admin.program import main; sys.exit(main(['audit']))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:6]) == (0, "Clean:"), done.stderr
