"""Draws the results: a figure for throughput and one for p99, with a panel for each kind of load."""

from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from bench import plots
from bench.bars import LABELS
from bench.load import Load
from bench.peers.measure import KINDS, SPREADS
from bench.peers.results import Results

# Colours that colour-blind readers can tell apart, see bench/plots.py. Markers and dashes also differ.
STYLES = {
    "limit": ("#000000", "", ":"),
    "store": (plots.ORANGE, "o", "-"),
    "limit-store-worker": (plots.GREY, "", "-."),
    "store-gevent": (plots.PURPLE, "P", "--"),
    "store-unbatched": ("#E69F00", "s", "--"),
    "store-urllib3": (plots.BLUE, "^", "--"),
    "store-http.client": (plots.GREEN, "D", "--"),
    "pocketbase": (plots.BLUE, "^", "-"),
    "flask-1-tier": (plots.GREEN, "D", "-"),
    "flask-3-tiers": ("#CC79A7", "v", "--"),
}
OTHER_STYLE = (plots.GREY, ".", ":")
METRICS: Mapping[str, tuple[str, Callable[[Load], float]]] = {
    "throughput": ("requests/s (more is better)", lambda load: load.per_second),
    "p99": ("p99 latency, ms (less is better)", lambda load: load.p99_ms),
}


def save(results: Results, folder: Path, name: str) -> None:
    """Writes NAME-METRIC.png for each metric."""
    for metric in METRICS:
        plots.save(_draw(results, metric), folder / f"{name}-{metric}")


def _draw(results: Results, metric: str) -> Figure:
    """Draws the figure of a metric."""
    label, value = METRICS[metric]
    figure, panels = plots.panels(len(SPREADS), len(KINDS), width_in=11, height_in=9)
    for row, spread in zip(panels, SPREADS, strict=True):
        for panel, kind in zip(row, KINDS, strict=True):
            if panel is not panels[0][0]:
                panel.sharey(panels[0][0])
            _draw_panel(panel, results, kind, spread, value)
            panel.set_title(f"{LABELS[kind]}, {LABELS[spread]}")
            panel.set_xlabel("clients")
        row[0].set_ylabel(label)
    handles, labels = panels[0][0].get_legend_handles_labels()
    title = f"The store beside its peers: {label}"
    figure.legend(handles, labels, title=title, title_fontsize=13, loc="outside upper center", ncols=4, frameon=False)
    plots.caption(figure, "; ".join(f"{fact} {text}" for fact, text in results.versions.items()), results.machine)
    return figure


def _draw_panel(panel: Axes, results: Results, kind: str, spread: str, value: Callable[[Load], float]) -> None:
    """Draws a line for each system over the number of clients."""
    for system in results.systems:
        rows = [
            row for row in results.rows if (row.system, row.cell.kind, row.cell.spread) == (system.name, kind, spread)
        ]
        color, marker, dashes = STYLES.get(system.name, OTHER_STYLE)
        panel.plot(
            [row.cell.clients for row in rows],
            [value(row.load) for row in rows],
            color=color, marker=marker, linestyle=dashes, label=results.label(system.name),
        )  # fmt: skip
    clients = sorted({row.cell.clients for row in results.rows})
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xticks(clients, [str(count) for count in clients])
    panel.yaxis.set_major_formatter(FuncFormatter(lambda number, _position: f"{number:,g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.grid(True, which="minor", color="#eeeeee")
