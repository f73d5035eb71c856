"""Orders and takings as files for a spreadsheet: the columns, amounts with two digits, and one header."""

from domain.owner import LoggedBuy, Takings
from domain.owner_csv import encode_orders, encode_sums, encode_takings
from domain.takings import TakingsSum

ORDER = LoggedBuy("2026-11-28T12:00:00.000Z", 7, "k", "Tux", 2, 2599, None, 1)
REFUSED = LoggedBuy("2026-11-28T12:00:01.000Z", -1, "=k", "Tux", 9, None, "out of stock", 0)


def test_an_order_has_its_total_and_a_refused_buy_has_none() -> None:
    lines = encode_orders([ORDER, REFUSED], with_header=False).decode().split("\r\n")
    assert lines == [
        "2026-11-28T12:00:00.000Z,7,Tux,2,25.99,51.98,1,,k",
        "2026-11-28T12:00:01.000Z,-1,Tux,9,,,0,out of stock,'=k",
        "",
    ]


def test_a_file_begins_with_its_mark_and_its_columns() -> None:
    header = "\ufefftime,number,product,pieces,price,total,returned,refused,key\r\n"
    assert encode_orders([], with_header=True).decode() == header


def test_takings_have_a_row_for_each_day_and_product() -> None:
    assert encode_takings([Takings("2026-11-28", "Tux", 3, 300, 4, 405)]).decode() == (
        "\ufeffday,product,sold,revenue,returned,refunded,net pieces,net revenue\r\n"
        "2026-11-28,Tux,3,3.00,4,4.05,-1,-1.05\r\n"
    )


def test_a_sum_stands_behind_what_is_summed() -> None:
    assert encode_sums(("month",), [(("2026-11",), TakingsSum(1, 5, 0, 0))]).decode() == (
        "\ufeffmonth,sold,revenue,returned,refunded,net pieces,net revenue\r\n2026-11,1,0.05,0,0.00,1,0.05\r\n"
    )
