"""Prints tables: for people at a terminal, or a line for each row in a pipe."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from conf.output import UNLIMITED_WIDTH, visible


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: range = range(0)) -> None:
    """Prints a table; without a header, no line for it. The columns `numbers` are aligned on the right."""
    # Cells are Text, so that rich does not read a [bracket] in a name or a key as markup.
    columns = [
        Column(name, overflow="fold", justify="right" if index in numbers else "left")
        for index, name in enumerate(header)
    ]
    table = Table(*columns, show_header=bool(header))
    for row in rows:
        table.add_row(*(Text(visible(cell), overflow="fold") for cell in row))
    # The width is set on the console: a width passed to print is limited to the console's, 80 without a terminal.
    console = Console()
    (console if console.is_terminal else Console(width=UNLIMITED_WIDTH)).print(table)
