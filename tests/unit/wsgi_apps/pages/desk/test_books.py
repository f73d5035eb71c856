"""The page of the books: the verdict of the audit, buys in doubt, sizes and backups, and the two buttons."""

from db.sqlite.order import OrderStore
from domain.errors import Unavailable
from domain.owner import LastAudit
from domain.values import Buy
from tests.support.desk import DeskClient, column, read_page
from tests.unit.wsgi_apps.pages.desk.conftest import OrdersWithBookKeeping

WRONG = LastAudit("2026-11-28T12:00:00.000Z", False, ["I1, Tux: <2 pieces> too many"], "2026-11-27T12:00:00.000Z")


def test_without_an_audit_the_page_says_so(desk: DeskClient) -> None:
    assert "The books were not audited yet." in desk.get("/books").text
    assert desk.json("/books")["data"]["audit"] is None


def test_a_clean_audit_is_shown_with_its_time(desk: DeskClient) -> None:
    page = desk.done(desk.get("/books").form("/books/audits"))
    assert page.only("done") == "The audit has ended: the books are right."
    assert "The books are right. The last audit was at 2026-11-28 12:00:00." in page.only("verdict")
    assert "done" not in desk.get("/books").by_class


def test_an_audit_with_discrepancies_names_them_and_when_the_books_were_last_clean(
    desk: DeskClient, bookkeeping: OrdersWithBookKeeping
) -> None:
    bookkeeping.next_audit = WRONG
    page = desk.done(desk.get("/books").form("/books/audits"))
    assert "found 1 discrepancy" in page.only("verdict")
    assert page.only("discrepancies") == "I1, Tux: <2 pieces> too many"
    assert "last clean at 2026-11-27 12:00:00" in page.text


def test_counts_and_sizes_are_shown(desk: DeskClient, orders: OrderStore) -> None:
    orders.begin([Buy("doubtful", "Tux", 1)])
    page = desk.get("/books")
    figures = " ".join(page.only("figures").split())
    assert figures.startswith("Orders0 Refused0 Returns0 In doubt1 since 2")
    assert "catalog.db" in column(page.tables[0], "File")
    assert all(size.endswith(("bytes", "kB", "MB")) for size in column(page.tables[0], "Size"))


def test_a_backup_is_made_and_listed(desk: DeskClient) -> None:
    assert "There is no backup yet." in desk.get("/books").text
    page = desk.done(desk.get("/books").form("/books/backups"))
    assert page.only("done") == "The backup 2026-11-28T12-00-00Z is made: 123.5 kB."
    assert column(page.tables[1], "Name") == ["2026-11-28T12-00-00Z"]
    assert "done" not in desk.get("/books?backup=guessed").by_class


def test_a_form_that_is_sent_twice_makes_one_backup(desk: DeskClient) -> None:
    """After a backup the page has a new form, which makes another one."""
    form = desk.get("/books").form("/books/backups")
    pages = [desk.done(form), desk.done(form)]
    assert [len(column(page.tables[1], "Name")) for page in pages] == [1, 1]
    assert len(column(desk.done(pages[0].form("/books/backups")).tables[1], "Name")) == 2


def test_the_rest_is_shown_when_backups_cannot_be_listed(desk: DeskClient, bookkeeping: OrdersWithBookKeeping) -> None:
    def refuse() -> list[object]:
        raise Unavailable("the two files are not in one folder here: see docs/deployment.md")

    bookkeeping.backups = refuse  # type: ignore[method-assign, assignment]
    page = desk.get("/books")
    assert page.only("problem") == "The two files are not in one folder here: see docs/deployment.md."
    assert "catalog.db" in page.text
    assert desk.json("/books")["data"]["backups"] is None


def test_a_program_reads_audits_and_backs_up(desk: DeskClient) -> None:
    audit = desk.post("/books/audits", {})["data"]
    assert (audit["is_clean"], audit["discrepancies"]) == (True, [])
    backup = desk.post("/books/backups", {})["data"]
    assert (backup["name"], backup["bytes"]) == ("2026-11-28T12-00-00Z", 123_456)
    data = desk.json("/books")["data"]
    assert (data["orders"], data["in_doubt"], data["audit"], data["backups"]) == (0, 0, audit, [backup])
    assert data["bytes_by_file"]["catalog.db"] > 0


def test_a_failed_audit_can_be_asked_for_again(desk: DeskClient, bookkeeping: OrdersWithBookKeeping) -> None:
    def refuse() -> LastAudit:
        raise Unavailable("an audit needs both files in one folder")

    bookkeeping.audit = refuse  # type: ignore[method-assign]
    page = read_page(desk.send(desk.get("/books").form("/books/audits")), 503)
    assert "The order tier cannot do this: an audit needs both files in one folder." in page.only("problem")
    del bookkeeping.audit
    assert desk.done(page.form("/books/audits")).only("done")
