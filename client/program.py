"""Runs the client: parses the options, runs the series, prints the report, returns the exit code."""

import sys
import threading
from collections.abc import Iterator
from contextlib import closing

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from client.options import Options, from_command_line
from client.questions import SHOWN_PRODUCTS
from client.report import print_report
from client.series import Series, run_series
from client.shop import Shop, StoreDown
from conf.output import exit_code, print_failure, visible
from conf.settings import buy_probability, load_only, patience_s
from conf.variables import SettingsError
from domain.values import Product

# The shortest series with a progress bar. A shorter one ends before anybody can read the bar.
MIN_ROUNDS_WITH_PROGRESS = 50


def main(arguments: list[str]) -> int:
    """Runs the program and returns its exit code."""
    try:
        options = from_command_line(arguments, buy_probability, _products, patience_s())
        series = _run_with_progress(options, _url())
    except SettingsError as error:
        return _fail(arguments, 2, str(error))
    except StoreDown as error:
        return _fail(arguments, 1, str(error))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    failure = series.failure or _refusal(options, series)
    print_report(options, series, failure)
    if failure:
        print(f"client: {failure}", file=sys.stderr)
    code = 1 if failure else 130 if series.interrupted else 0
    # A report that cannot be printed fails a query, whose only result it is. It does not undo a buy.
    return exit_code(code, 1 if options.mode == 2 else None, "client")


def _fail(arguments: list[str], code: int, why: str) -> int:
    print_failure("client", why, as_json="--json" in arguments)
    return code


def _url() -> str:
    return load_only("FRONT", "FRONT_BIND").front_end.address.url


def _products(patience_s: int) -> Iterator[Product]:
    """Yields the store's products. The first request has as many as the menu needs for its first page."""
    with closing(Shop(_url(), threading.Event(), patience_s)) as shop:
        yield from shop.products(limit=SHOWN_PRODUCTS + 1)


def _refusal(options: Options, series: Series) -> str | None:
    """Returns why the store refused a single query or buy. A series counts refusals as outcomes instead."""
    if options.is_single and series.requests and series.requests[0].is_refused:
        return f"{visible(options.product)}: {series.requests[0].outcome}"
    return None


def _run_with_progress(options: Options, url: str) -> Series:
    """Runs the series, with a progress bar when it is long and a person watches."""
    console = Console(stderr=True)
    if options.json or options.count < MIN_ROUNDS_WITH_PROGRESS or not console.is_terminal:
        return run_series(options, url, advance=lambda: None)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"mode {options.mode}", total=options.count)
        return run_series(options, url, advance=lambda: progress.advance(task))
