"""A catalog and an order log match when they have the same store id, and neither is older than the other."""

import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from db.sqlite.audit import audit
from db.sqlite.audit.acceptance import accept
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.pairing import LOG_NAME, find_mismatch, require_matching, store_id
from db.sqlite.snapshots import CATALOG, LOG, Snapshots
from db.start import StartPostponed, StartRefused
from domain.checkout import Checkout
from domain.values import Buy
from tests.support.books import query
from tests.support.earlier_schemas import ORDERED_ONE, SOLD_ONE, older
from tests.support.forgery import forge


def test_a_new_catalog_has_an_id_of_its_own_and_a_new_log_has_none(tmp_path: Path) -> None:
    ids = set()
    for name in ("a", "b"):
        catalog, log = CatalogStore(tmp_path / name / "catalog.db"), OrderStore(tmp_path / name / "order.db")
        catalog.migrate()
        log.migrate()
        ids.add(store_id(tmp_path / name / "catalog.db"))
        assert store_id(tmp_path / name / "order.db") is None
    assert len(ids) == 2 and None not in ids


@pytest.mark.parametrize(
    "sql", ["UPDATE store SET id = id", "DELETE FROM store", f"REPLACE INTO store VALUES (1, '{'0' * 32}')"]
)
def test_the_id_of_a_file_cannot_be_changed(catalog: CatalogStore, tmp_path: Path, sql: str) -> None:
    before = store_id(tmp_path / "catalog.db")
    shell = apsw.Connection(str(tmp_path / "catalog.db"))
    with pytest.raises(apsw.ConstraintError, match="of one store for ever"):
        shell.execute(sql).fetchall()
    shell.close()
    assert store_id(tmp_path / "catalog.db") == before


def test_a_missing_or_empty_file_has_no_id_and_is_not_created(tmp_path: Path) -> None:
    (tmp_path / "order.db").touch()
    assert store_id(tmp_path / "catalog.db") is None
    assert store_id(tmp_path / "order.db") is None
    assert [path.name for path in tmp_path.iterdir()] == ["order.db"]
    assert find_mismatch(tmp_path) is None, "a new store starts in an empty folder"


def test_the_two_files_of_one_store_match(checkout: Checkout, tmp_path: Path) -> None:
    checkout.place(Buy("k", "Tux", 1))
    assert find_mismatch(tmp_path) is None


def test_files_match_with_a_buy_in_doubt(catalog: CatalogStore, orders: OrderStore, tmp_path: Path) -> None:
    orders.begin([Buy("k", "Tux", 1)])
    catalog.sell([Buy("k", "Tux", 1)])
    assert find_mismatch(tmp_path) is None


@pytest.mark.parametrize("lost", ["catalog.db", "order.db"])
@pytest.mark.parametrize("is_empty", [False, True])
def test_a_lost_file_is_named(
    checkout: Checkout, catalog: CatalogStore, orders: OrderStore, tmp_path: Path, lost: str, is_empty: bool
) -> None:
    checkout.place(Buy("k", "Tux", 1))
    catalog.close()
    orders.close()
    (tmp_path / lost).unlink()
    if is_empty:
        (tmp_path / lost).touch()
    assert (why := find_mismatch(tmp_path)) is not None and f"{lost} is missing" in why


@pytest.mark.parametrize("lost", ["catalog.db", "order.db"])
def test_a_file_that_was_created_anew_is_named(
    checkout: Checkout, catalog: CatalogStore, orders: OrderStore, tmp_path: Path, lost: str
) -> None:
    checkout.place(Buy("k", "Tux", 1))
    catalog.close()
    orders.close()
    (tmp_path / lost).unlink()
    (catalog if lost == "catalog.db" else orders).migrate()
    assert (why := find_mismatch(tmp_path)) is not None
    assert ("has not sold what was ordered last" if lost == "catalog.db" else "lacks what the catalog has sold") in why


@pytest.mark.parametrize("older_file", ["catalog.db", "order.db"])
def test_a_file_from_an_older_backup_is_named(
    checkout: Checkout, catalog: CatalogStore, orders: OrderStore, tmp_path: Path, older_file: str
) -> None:
    checkout.place(Buy("k", "Tux", 1))
    catalog.close()
    orders.close()
    shutil.copy(tmp_path / older_file, tmp_path / "copy")
    checkout.place(Buy("later", "Tux", 1))
    catalog.close()
    orders.close()
    shutil.copy(tmp_path / "copy", tmp_path / older_file)
    assert (why := find_mismatch(tmp_path)) is not None and "an older one" in why


def test_an_older_log_that_has_only_the_newest_sale_in_doubt_is_named(
    checkout: Checkout, catalog: CatalogStore, orders: OrderStore, tmp_path: Path
) -> None:
    orders.begin([Buy("in doubt", "Tux", 1)])
    orders.close()
    shutil.copy(tmp_path / "order.db", tmp_path / "copy")
    assert checkout.place(Buy("acknowledged", "Tux", 1)) == 0
    checkout.settle(checkout.intents(10))
    assert find_mismatch(tmp_path) is None
    orders.close()
    shutil.copy(tmp_path / "copy", tmp_path / "order.db")
    assert (why := find_mismatch(tmp_path)) is not None and "lacks what the catalog has sold" in why


def test_an_older_catalog_that_has_only_the_newest_order_is_named(
    checkout: Checkout, catalog: CatalogStore, orders: OrderStore, tmp_path: Path
) -> None:
    orders.begin([Buy("in doubt", "Tux", 1)])
    catalog.sell([Buy("in doubt", "Tux", 1)])
    catalog.close()
    shutil.copy(tmp_path / "catalog.db", tmp_path / "copy")
    assert checkout.place(Buy("acknowledged", "Tux", 1)) == 0
    checkout.settle(checkout.intents(10))
    assert find_mismatch(tmp_path) is None
    catalog.close()
    shutil.copy(tmp_path / "copy", tmp_path / "catalog.db")
    assert (why := find_mismatch(tmp_path)) is not None and "has not sold order 0" in why


def test_files_match_when_all_sales_are_in_doubt(catalog: CatalogStore, orders: OrderStore, tmp_path: Path) -> None:
    buys = [Buy(f"k{number}", "Tux", 1) for number in range(3)]
    orders.begin(buys)
    catalog.sell(buys)
    assert find_mismatch(tmp_path) is None


def test_another_stores_file_is_named_with_both_ids(tmp_path: Path) -> None:
    for name, id in (("a", "a" * 32), ("b", "b" * 32)):
        older(tmp_path / name, CATALOG, CATALOG.newest)
        forge(tmp_path / name / "catalog.db", f"UPDATE store SET id = '{id}'")
    older(tmp_path / "a", LOG, LOG.newest, f"INSERT INTO store (id) VALUES ('{'a' * 32}')")
    assert find_mismatch(tmp_path / "a") is None
    shutil.copy(tmp_path / "a" / "order.db", tmp_path / "b" / "order.db")
    assert (why := find_mismatch(tmp_path / "b")) is not None and "a" * 32 in why and "b" * 32 in why


def test_files_from_before_ids_are_matched_by_their_rows(tmp_path: Path) -> None:
    older(tmp_path / "a", CATALOG, 1, SOLD_ONE)
    older(tmp_path / "a", LOG, 1, ORDERED_ONE)
    assert find_mismatch(tmp_path / "a") is None
    older(tmp_path / "b", CATALOG, 2)
    shutil.copy(tmp_path / "a" / "order.db", tmp_path / "b" / "order.db")
    assert find_mismatch(tmp_path / "b") is not None


def test_a_check_changes_no_file_and_leaves_none(checkout: Checkout, catalog: CatalogStore, tmp_path: Path) -> None:
    checkout.place(Buy("k", "Tux", 1))
    catalog.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("catalog")}
    assert find_mismatch(tmp_path) is None
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("catalog")} == before


def test_the_audit_names_a_log_of_another_store(
    checkout: Checkout, catalog: CatalogStore, orders: OrderStore, tmp_path: Path
) -> None:
    checkout.place(Buy("k", "Tux", 1))
    with apsw.Connection(str(tmp_path / "order.db")) as shell:
        shell.execute(f"INSERT INTO store (id) VALUES ('{'b' * 32}')").fetchall()
    with Snapshots(tmp_path) as snapshots:
        [discrepancy] = audit(snapshots).discrepancies
    assert (discrepancy.promise, discrepancy.where) == ("file", "order.db")
    [(catalogs_id,)] = query(tmp_path / "catalog.db", "SELECT id FROM store")
    assert "b" * 32 in discrepancy.what and str(catalogs_id) in discrepancy.what


def test_files_match_once_the_owner_has_accepted_the_lost_sale(
    checkout: Checkout, catalog: CatalogStore, orders: OrderStore, tmp_path: Path
) -> None:
    """This lets a store with an older catalog sell again when no newer catalog is left."""
    catalog.close()
    shutil.copy(tmp_path / "catalog.db", tmp_path / "copy")
    checkout.place(Buy("k%_", "Tux", 1))
    catalog.close()
    orders.close()
    shutil.copy(tmp_path / "copy", tmp_path / "catalog.db")
    assert find_mismatch(tmp_path) is not None
    with Snapshots(tmp_path) as snapshots:
        [found] = [one for one in audit(snapshots).discrepancies if "never sold" in one.what]
    assert accept(tmp_path / "catalog.db", found, "the catalog was lost", "me", "signed")
    assert find_mismatch(tmp_path) is None


def test_intents_from_before_the_first_catalog_do_not_prevent_its_creation(orders: OrderStore, tmp_path: Path) -> None:
    orders.begin([Buy("early", "Tux", 1)])
    assert find_mismatch(tmp_path) is None


@pytest.mark.parametrize("older_file", ["catalog.db", "order.db"])
@pytest.mark.parametrize("own", ["catalog.db", "order.db"])
def test_a_tier_does_not_start_on_an_older_file_in_a_relative_folder(
    checkout: Checkout,
    catalog: CatalogStore,
    orders: OrderStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    older_file: str,
    own: str,
) -> None:
    """The default of DATA_DIR is relative."""
    monkeypatch.chdir(tmp_path.parent)
    folder = Path(tmp_path.name)
    checkout.place(Buy("before", "Tux", 1))
    catalog.close()
    orders.close()
    shutil.copy(tmp_path / older_file, tmp_path / "copy")
    checkout.place(Buy("later", "Tux", 1))
    assert require_matching(folder, own) is None
    catalog.close()
    orders.close()
    shutil.copy(tmp_path / "copy", tmp_path / older_file)
    with pytest.raises(StartRefused, match="an older one"):
        require_matching(folder, own)


def test_another_programs_database_is_refused_without_a_retry(tmp_path: Path) -> None:
    with closing(apsw.Connection(str(tmp_path / LOG_NAME))) as other:
        other.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)").fetchall()
    with pytest.raises(StartRefused, match="not a database of this tier") as refused:
        require_matching(tmp_path, LOG_NAME)
    assert not isinstance(refused.value, StartPostponed), "supervisord would restart the tier for ever"
