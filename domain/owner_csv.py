"""The owner's orders and takings as CSV files. The desk and the owner's program write the same columns and rows."""

from collections.abc import Sequence
from decimal import Decimal

from domain.csv_rows import BYTE_ORDER_MARK, Cell, amount, encode_rows
from domain.owner import LoggedBuy, Takings
from domain.takings import TakingsSum, sum_takings

ORDER_COLUMNS = ("time", "number", "product", "pieces", "price", "total", "returned", "refused", "key")
# The columns of a sum of takings; those that say what is summed stand before them.
SUM_COLUMNS = ("sold", "revenue", "returned", "refunded", "net pieces", "net revenue")


def encode_orders(buys: Sequence[LoggedBuy], *, with_header: bool) -> bytes:
    """Returns the rows of these buys. Those at the top of a file have the header."""
    rows = encode_rows(map(_order_row, buys))
    return BYTE_ORDER_MARK + encode_rows([ORDER_COLUMNS]) + rows if with_header else rows


def encode_takings(takings: Sequence[Takings]) -> bytes:
    """Returns the file with the takings of each day and product."""
    return encode_sums(("day", "product"), [((one.day, one.product), sum_takings([one])) for one in takings])


def encode_sums(columns: Sequence[str], sums: Sequence[tuple[Sequence[str], TakingsSum]]) -> bytes:
    """Returns the file with sums of takings, behind these columns that say what is summed."""
    rows = [(*names, *sum_cells(total)) for names, total in sums]
    return BYTE_ORDER_MARK + encode_rows([(*columns, *SUM_COLUMNS), *rows])


def sum_cells(total: TakingsSum) -> Sequence[int | Decimal]:
    """Returns the cells of SUM_COLUMNS."""
    return (
        total.sold,
        amount(total.sold_cents),
        total.returned,
        amount(total.returned_cents),
        total.net,
        amount(total.net_cents),
    )


def _order_row(buy: LoggedBuy) -> Sequence[Cell]:
    price_cents = buy.price_cents
    return (
        buy.time,
        buy.number,
        buy.product,
        buy.quantity,
        None if price_cents is None else amount(price_cents),
        None if price_cents is None else amount(price_cents * buy.quantity),
        buy.returned,
        buy.refused_because,
        buy.key,
    )
