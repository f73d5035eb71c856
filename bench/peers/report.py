"""Writes the results as Markdown: the machine, the systems, the bars and a table of all figures."""

import statistics

from bench import bars
from bench.peers.measure import Row
from bench.peers.results import Results

HEADS = (
    *("clients", "system", "request", "products", "requests/s", "slowest round", "of the limit", "worst round"),
    *("p50 ms", "p99 ms", "worst p99", "p99 / p50", "max ms", "over 500 ms", "errors", "CPU µs a request", "others"),
)


def markdown(results: Results) -> str:
    """Returns the whole report."""
    judged = [bar for bar in bars.of_peers(results) if bar.measured is not None]
    verdict = ["", bars.table(judged)] if judged else []
    return "\n".join([*_about(results), "", *_systems(results), *verdict, "", *_figures(results), ""])


def _about(results: Results) -> list[str]:
    """Returns the title, the machine, the method, and the broken promises."""
    facts = "; ".join(f"{name} {value}" for name, value in {**results.machine, **results.versions}.items())
    rounds, seconds = results.options["rounds"], results.options["seconds"]
    return [
        "# The store beside its peers",
        "",
        facts + ".",
        "",
        f"Each figure is the median of {rounds} interleaved rounds of {seconds} s, each ratio the "
        "median of the rounds' own; max ms, over 500 ms, errors and others are the worst of all rounds.",
        "Hot: one product for all clients; spread: 1,000 products in turn. CPU is that of all processes of the system.",
        "",
        others(results),
        *(f"\n**VOID: {name} broke a promise: {why}**" for name, why in results.void.items()),
    ]


def others(results: Results) -> str:
    """Returns a line with the share of the CPU time that other processes used in each round."""
    rounds = [f"{mean:.0%} (at most {most:.0%} beside one load)" for mean, most in results.others()]
    return f"CPU share of other processes, round by round: {', '.join(rounds)}."


def _systems(results: Results) -> list[str]:
    """Returns the table of the systems."""
    lines = ["| system | what it is | durability |", "|---|---|---|"]
    return lines + [f"| {results.label(one.name)} | {one.about} | {one.durability} |" for one in results.systems]


def _figures(results: Results) -> list[str]:
    """Returns the table of all figures."""
    lines = [f"| {' | '.join(HEADS)} |", "|---:|---|---|---|" + "---:|" * (len(HEADS) - 4)]
    return lines + [f"| {' | '.join(_cells(results, row))} |" for row in results.rows]


def _cells(results: Results, row: Row) -> list[str]:
    """Returns the cells of a row, in the order of HEADS."""
    middle, worst, of_limit = row.load, row.worst, results.ratios_to_limit(row)
    return [
        str(row.cell.clients),
        results.label(row.system),
        row.cell.kind,
        row.cell.spread,
        f"{middle.per_second:,.0f}",
        f"{worst.per_second:,.0f}",
        f"{statistics.median(of_limit):.2f}" if of_limit else "",
        f"{min(of_limit):.2f}" if of_limit else "",
        *(f"{ms:,.2f}" for ms in (middle.p50_ms, middle.p99_ms, worst.p99_ms)),
        f"{statistics.median(row.p99_to_p50):.1f}",
        f"{worst.max_ms:,.0f}",
        f"{worst.over_500_ms:,}",
        f"{worst.errors:,}",
        f"{middle.cpu_us:,.0f}",
        f"{worst.others:.0%}",
    ]
