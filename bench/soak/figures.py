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
    minutes = [sample.at_s / 60 for sample in soak.samples]
    for color, name in zip(plots.COLORS, NAMES, strict=False):
        memory.plot(minutes, [sample.tiers[name].memory / MB for sample in soak.samples], color=color, label=name)
        opened = [sample.tiers[name].descriptors for sample in soak.samples]
        descriptors.plot(minutes, opened, color=color, label=name)
    for color, log in zip(plots.COLORS, ("catalog.db-wal", "order.db-wal"), strict=False):
        wal.plot(minutes, [sample.wal_bytes.get(log, 0) / MB for sample in soak.samples], color=color, label=log)
    for kind, requests in (("query", soak.queries), ("buy", soak.buys())):
        for quantile, style in ((0.5, "-"), (0.99, ":")):
            by_minute = _latency_by_minute(requests, quantile)
            label, color = f"{kind} p{quantile * 100:.0f}", plots.COLOR_OF[kind]
            latency.plot(list(by_minute), list(by_minute.values()), color=color, linestyle=style, label=label)
    titles = ("memory of a tier's workers, MB", "their file descriptors", "write-ahead log, MB", "latency, ms")
    for panel, title in zip((memory, descriptors, wal, latency), titles, strict=True):
        panel.set_title(title)
        panel.set_xlabel("minutes")
        panel.set_ylim(bottom=0)
        panel.legend()
    latency.set_ylim(0.1)  # a log scale has no 0
    latency.set_yscale("log")
    figure.suptitle(f"{soak.seconds / 60:.0f} minutes of shopping, {soak.kills} kills")
    plots.caption(figure)
    return figure


def _latency_by_minute(requests: Sequence[tuple[float, float]], quantile: float) -> dict[int, float]:
    """Returns the quantile of the latencies of each minute, in ms. A request is its begin and duration, in seconds."""
    minutes: dict[int, list[float]] = {}
    for begun_s, took_s in requests:
        minutes.setdefault(int(begun_s // 60), []).append(took_s * 1000)
    return {minute: sorted(took_ms)[int(len(took_ms) * quantile)] for minute, took_ms in sorted(minutes.items())}
