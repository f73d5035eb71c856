"""Draws and saves the benchmarks' plots in one style."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from bench import machine

# Colours that colour-blind readers can tell apart: those of Okabe and Ito, and the purple of Tol. Lines differ by their
# markers as well.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#666666"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, GREY)
MARKERS = ("o", "s", "^", "D", "v")
# A query and a buy look the same in every figure.
COLOR_OF = {"query": BLUE, "buy": ORANGE}
MARKER_OF = {"query": "o", "buy": "s"}

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.markersize": 5,
}
matplotlib.rcParams.update(_STYLE)


def panels(rows: int, columns: int, *, width_in: float, height_in: float) -> tuple[Figure, list[list[Axes]]]:
    """Returns an empty figure of this size, and its axes by row and column."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")  # without pyplot, which may want a display
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in axes]


def caption(figure: Figure, note: str = "", facts: Mapping[str, str] | None = None) -> None:
    """Writes a `note` below the axes, then the time and the machine of the measurement: by default now and this one."""
    width = int(figure.get_figwidth() * 18)  # characters of this size that fit into the width
    paragraphs = [note, machine.line(facts)] if note else [machine.line(facts)]
    text = "\n".join(textwrap.fill(paragraph, width) for paragraph in paragraphs)
    # A label below all axes and not free text, because the layout leaves room only for labels.
    figure.supxlabel(text, x=0.01, horizontalalignment="left", fontsize=7.5, color=GREY)


def save(figure: Figure, path_without_suffix: Path) -> None:
    """Writes the figure as a PNG, and makes its folder if need be.

    PNG is the only format: with 32 colours it takes a quarter of the bytes of all colours, and half of those of SVG.
    """
    path_without_suffix.parent.mkdir(parents=True, exist_ok=True)
    png = path_without_suffix.with_name(path_without_suffix.name + ".png")
    figure.savefig(png, dpi=150)
    with Image.open(png) as picture:
        few_colors = picture.convert("RGB").quantize(32, dither=Image.Dither.NONE)
    few_colors.save(png, optimize=True)
