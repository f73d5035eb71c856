"""Draws the figures of a soak test over its minutes."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from bench import plots
from bench.soak.measure import Soak
from bench.workers import MB
from tests.support.tiers import NAMES


def draw(soak: Soak) -> Figure:
    """Draws memory, descriptors, write-ahead logs and latency."""
    figure, [[memory, descriptors], [wal, latency]] = plots.panels(2, 2, width_in=12, height_in=7)
    minutes = [one.at_s / 60 for one in soak.samples]
    for color, name in zip(plots.COLORS, NAMES, strict=False):
        memory.plot(minutes, [one.tiers[name].memory / MB for one in soak.samples], color=color, label=name)
        descriptors.plot(minutes, [one.tiers[name].descriptors for one in soak.samples], color=color, label=name)
    for color, log in zip(plots.COLORS, ("catalog.db-wal", "order.db-wal"), strict=False):
        wal.plot(minutes, [one.wal_bytes.get(log, 0) / MB for one in soak.samples], color=color, label=log)
    for what, points in (("query", soak.queries), ("buy", soak.buys())):
        for share, style in ((0.5, "-"), (0.99, ":")):
            each = _by_minute(points, share)
            label = f"{what} p{share * 100:.0f}"
            latency.plot(list(each), list(each.values()), color=plots.COLOR_OF[what], linestyle=style, label=label)
    titles = ("memory of a tier's workers, MB", "their file descriptors", "write-ahead log, MB", "latency, ms")
    for panel, title in zip((memory, descriptors, wal, latency), titles, strict=True):
        panel.set_title(title)
        panel.set_xlabel("minutes")
        panel.set_ylim(bottom=0)
        panel.legend()
    latency.set_ylim(0.1)
    latency.set_yscale("log")
    figure.suptitle(f"{soak.seconds / 60:.0f} minutes of shopping, {soak.kills} kills")
    plots.caption(figure)
    return figure


def _by_minute(points: Sequence[tuple[float, float]], share: float) -> dict[int, float]:
    """Returns the quantile `share` of the latencies of each minute, in ms."""
    minutes: dict[int, list[float]] = {}
    for at_s, took_s in points:
        minutes.setdefault(int(at_s // 60), []).append(took_s * 1000)
    return {minute: sorted(took)[int(len(took) * share)] for minute, took in sorted(minutes.items())}
