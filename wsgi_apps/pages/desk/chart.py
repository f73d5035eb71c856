"""Draws charts as SVG, on the server: a line of a stock, and bars of takings.

The Content-Security-Policy forbids style attributes, so shapes have presentation attributes and classes; desk.css gives
them colours, in light and in dark mode. A screen reader reads title and description, and the table beside the chart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

# In units of the drawing, which the browser scales.
WIDTH, HEIGHT = 900, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 92, 12, 14, 30
_MAX_LABELS = 8
_WIDEST_BAR = 48.0

_SVG = Markup(
    '<svg class="chart" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
    'aria-labelledby="{id}-title {id}-desc"><title id="{id}-title">{title}</title>'
    '<desc id="{id}-desc">{desc}</desc>{body}</svg>'
)
_GRID = Markup(
    '<line class="grid{zero}" x1="{x1}" y1="{y:.1f}" x2="{x2}" y2="{y:.1f}"/>'
    '<text x="{x}" y="{y:.1f}" dy="4" text-anchor="end">{label}</text>'
)
_LABEL = Markup('<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{label}</text>')
_BAR = Markup(
    '<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"><title>{title}</title></rect>'
)
_LINE = Markup('<path class="area" d="{area}"/><path class="line" fill="none" d="{line}"/>')
_DOT = Markup('<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{title}</title></circle>')


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a chart. `at` is its place from the left, in any unit; `label` stands below, `title` explains it."""

    at: float
    value: int
    label: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The texts of a chart. `id` is unique on its page; `format_value` writes a value at the scale."""

    id: str
    title: str
    desc: str
    format_value: Callable[[int], str]


def draw_steps(chart: Chart, points: Sequence[Point]) -> Markup:
    """Returns a line that stays at each value until the next one. There is no drawing without a point."""
    if not points:
        return Markup("")
    scale = _Scale(points)
    first, last = points[0].at, points[-1].at
    width = last - first

    def x(at: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * ((at - first) / width if width else 0.5)

    path = f"M{x(first):.1f} {scale.y(points[0].value):.1f}"
    for point in points[1:]:
        path += f"H{x(point.at):.1f}V{scale.y(point.value):.1f}"
    base = f"V{scale.y(0):.1f}H{x(first):.1f}Z"
    # Beyond some dozens, dots would hide the line.
    dots = points if len(points) <= 40 else points[-1:]
    body = scale.grid(chart.format_value) + _LINE.format(area=path + base, line=path)
    body += Markup("").join(_DOT.format(x=x(p.at), y=scale.y(p.value), title=p.title) for p in dots)
    ends = [points[0]] if width == 0 else [points[0], points[-1]]
    for point, anchor in zip(ends, ("start", "end"), strict=False):
        body += _LABEL.format(x=x(point.at), y=HEIGHT - 8, anchor=anchor if width else "middle", label=point.label)
    return _svg(chart, body)


def draw_bars(chart: Chart, points: Sequence[Point]) -> Markup:
    """Returns a bar for each value, from left to right; one below zero hangs. There is no drawing without a value."""
    if not points:
        return Markup("")
    scale = _Scale(points)
    step = (WIDTH - _LEFT - _RIGHT) / len(points)
    width = min(step * 0.8, _WIDEST_BAR)
    every = -(-len(points) // _MAX_LABELS)
    body = scale.grid(chart.format_value)
    zero = scale.y(0)
    for index, point in enumerate(points):
        x, y = _LEFT + step * (index + 0.5), scale.y(point.value)
        body += _BAR.format(
            x=x - width / 2, y=min(y, zero), width=width, height=abs(zero - y), title=point.title
        )  # fmt: skip
        if index % every == 0:
            body += _LABEL.format(x=x, y=HEIGHT - 8, anchor="middle", label=point.label)
    return _svg(chart, body)


class _Scale:
    """The vertical scale: round numbers that enclose zero and all values."""

    def __init__(self, points: Sequence[Point]) -> None:
        low = min(0, *(point.value for point in points))
        high = max(0, *(point.value for point in points))
        step = _round_step(max(high - low, 1))
        self._low = low // step * step
        self._high = max(-(-high // step) * step, self._low + step)
        self._ticks = range(self._low, self._high + 1, step)

    def y(self, value: int) -> float:
        """Returns the height of a value, from the top."""
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * ((self._high - value) / (self._high - self._low))

    def grid(self, format_value: Callable[[int], str]) -> Markup:
        """Returns the lines of the scale, with their values."""
        lines = Markup("")
        for tick in self._ticks:
            zero = " zero" if tick == 0 else ""
            lines += _GRID.format(
                zero=zero, x1=_LEFT, x2=WIDTH - _RIGHT, x=_LEFT - 8, y=self.y(tick), label=format_value(tick)
            )
        return lines


def _round_step(span: int) -> int:
    """Returns the least of 1, 2, 5, 10, 20, … that divides the span into at most five parts."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * 5 >= span:
                return factor * power
        power *= 10


def _svg(chart: Chart, body: Markup) -> Markup:
    return _SVG.format(width=WIDTH, height=HEIGHT, id=chart.id, title=chart.title, desc=chart.desc, body=body)
