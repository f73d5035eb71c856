"""Prints the report of a series, as a table for people or as JSON."""

import math
import shutil
import sys
from collections import Counter
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from client.format import format_cents, format_product
from client.options import Options
from client.series import Request, Series
from conf.output import UNLIMITED_WIDTH, print_json, visible
from domain.values import Product


def percentile(sorted_values: list[float], percent: float) -> float:
    """Returns the smallest value that at least `percent` % of the values do not exceed (nearest rank)."""
    return sorted_values[max(0, math.ceil(len(sorted_values) * percent / 100) - 1)]


def summary(options: Options, series: Series, error: str | None = None) -> dict[str, Any]:
    """Returns requests, outcomes and latency (ms) of each kind of request, the product found, and the orders."""
    result: dict[str, Any] = {
        "error": error,
        "interrupted": series.interrupted,
        "seconds": round(series.seconds, 3),
        "requests_per_second": round(len(series.requests) / series.seconds, 1) if series.seconds else 0.0,
        "kinds": {},
    }
    for kind in ("query", "buy"):
        requests = [request for request in series.requests if request.kind == kind]
        if requests:
            result["kinds"][kind] = _summarize(requests)
    if options.mode == 2 and (product := _last_found(series)):
        result["product"] = {
            "name": product.name,
            "price": product.price_cents / 100,
            "quantity": product.quantity,
        }
    if orders := _orders(series):
        result["orders"] = {"first": min(orders), "last": max(orders)}
    if options.is_single and orders:
        cents = series.price_cents
        result["order"] = {
            "number": orders[0],
            "name": options.product,
            "quantity": options.quantity,
            "price": None if cents is None else cents / 100,
            "total": None if cents is None else cents * options.quantity / 100,
        }
    return result


def _summarize(requests: list[Request]) -> dict[str, Any]:
    times = sorted(request.seconds * 1000 for request in requests)
    latency = {"mean": sum(times) / len(times), "max": times[-1]}
    latency |= {f"p{percent}": percentile(times, percent) for percent in (50, 95, 99)}
    return {
        "requests": len(requests),
        "outcomes": dict(Counter(request.outcome for request in requests).most_common()),
        "latency_ms": {name: round(value, 3) for name, value in latency.items()},
    }


def _last_found(series: Series) -> Product | None:
    return next((request.product for request in reversed(series.requests) if request.product), None)


def _orders(series: Series) -> list[int]:
    return [request.order for request in series.requests if request.order is not None]


def print_report(options: Options, series: Series, error: str | None) -> None:
    """Prints the product found, the orders and the figures, as JSON or for people."""
    result = summary(options, series, error)
    if options.json:
        print_json(result)
        return
    # shutil ignores a COLUMNS of 0; rich would use it as the width.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED_WIDTH
    console = Console(markup=False, emoji=False, highlight=False, width=width)
    if options.mode == 2 and (product := _last_found(series)):
        _print(console, format_product(product))
    if line := _order_line(options, series, _orders(series)):
        _print(console, line)
    if not result["kinds"]:
        _print(console, "No request was answered.")
        return
    table = _table(result["kinds"])
    unlimited = console.options.update(max_width=UNLIMITED_WIDTH)
    if Measurement.get(console, unlimited, table).maximum > console.width:
        table = _narrow_table(result["kinds"])
    console.print(table)
    _print(console, f"{result['seconds']} s, {result['requests_per_second']} requests/s")


def _print(console: Console, line: str) -> None:
    """Prints a line, and wraps it at a terminal alone."""
    console.print(Text(line, overflow="fold"), soft_wrap=not console.is_terminal)


def _order_line(options: Options, series: Series, orders: list[int]) -> str:
    """Returns the receipt of a single buy, or the first and last order of a series; "" without an order.

    A receipt is like `order 7: 2 Tux, 51.98`. It lacks the total when the store did not answer with the price.
    """
    if not orders:
        return ""
    if not options.is_single:
        return f"The first order is {min(orders)}, the last {max(orders)}."
    line = f"order {orders[0]}: {options.quantity:,} {visible(options.product)}"
    if series.price_cents is None:
        return line
    return f"{line}, {format_cents(series.price_cents * options.quantity)}"


def _cells(kind: str, row: dict[str, Any]) -> tuple[str, ...]:
    outcomes = "\n".join(f"{count} {outcome}" for outcome, count in row["outcomes"].items())
    latency = [f"{row['latency_ms'][name]:.2f}" for name in ("mean", "p50", "p95", "p99")]
    return kind, str(row["requests"]), outcomes, *latency


_COLUMNS = ("", "requests", "outcomes", "mean ms", "p50", "p95", "p99")


def _table(kinds: dict[str, Any]) -> Table:
    table = Table()
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in ("", "outcomes") else "right", no_wrap=True)
    for kind, row in kinds.items():
        table.add_row(*map(Text, _cells(kind, row)))
    return table


def _narrow_table(kinds: dict[str, Any]) -> Table:
    """Returns a table with a line for each figure, for a terminal that is too narrow for the usual one. Words wrap."""
    table = Table.grid(padding=(0, 1))
    for kind, row in kinds.items():
        for name, cell in zip(_COLUMNS, _cells(kind, row), strict=True):
            table.add_row(Text(name, overflow="fold"), Text(cell, overflow="fold"))
    return table
