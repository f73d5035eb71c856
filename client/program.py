"""The program: options, a series, its report, and an exit code."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from client.options import Options, from_command_line
from client.report import print_json, print_table
from client.series import Series, run
from conf.settings import SettingsError, buy_probability, load, refuse_to_start

# A shorter series is over before a bar could be read.
LONG_SERIES = 50


def main(arguments: list[str]) -> int:
    """The whole program; its exit code."""
    try:
        url = load().front_end.address.url
        options = from_command_line(arguments, buy_probability())
    except SettingsError as error:
        refuse_to_start(str(error))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    series = _run_with_progress(options, url)
    print_json(series) if options.json else print_table(series)
    if series.failure:
        print(f"client: {series.failure}", file=sys.stderr)
        return 1
    return 130 if series.interrupted else 0


def _run_with_progress(options: Options, url: str) -> Series:
    console = Console(stderr=True)
    if options.json or options.count < LONG_SERIES or not console.is_terminal:
        return run(options, url, advance=lambda: None)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"mode {options.mode}", total=options.count)
        return run(options, url, advance=lambda: progress.advance(task))
