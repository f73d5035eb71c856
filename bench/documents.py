"""Writes the figures of bench/results/ into README.md and bench/RESULTS.md: `make bench-documents`.

A block between `<!-- measured: NAME -->` and `<!-- end -->` is generated; an edit by hand is overwritten.
"""

import re
import statistics
import textwrap
from collections.abc import Callable, Mapping

from bench import bars
from bench.peers.measure import KINDS, Cell, Row
from bench.peers.report import others
from bench.peers.results import LIMIT, Results, ratios, read_json
from bench.program import RESULTS
from tests.support.tiers import ROOT

DOCUMENTS = (ROOT / "README.md", ROOT / "bench" / "RESULTS.md")
_BLOCK = re.compile(r"(<!-- measured: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Writes the generated blocks of all documents."""
    for document in DOCUMENTS:
        document.write_text(filled(document.read_text()))


def filled(text: str) -> str:
    """Returns the text with each generated block made anew from the results."""
    return _BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}\n{found[3]}", text)


def how_fast() -> str:
    """Returns the README's paragraph on speed."""
    results = read_json(RESULTS / "peers.json")

    def row(kind: str, clients: int = 32, system: str = bars.STORE) -> Row:
        found = results.row(system, Cell(clients, kind, "hot"))
        assert found is not None, f"{system} was not measured with {clients} clients"
        return found

    def rate(kind: str, clients: int = 32, system: str = bars.STORE) -> str:
        return f"{round(row(kind, clients, system).load.per_second, -2):,.0f}"

    def times(kind: str, system: str) -> str:
        return f"{statistics.median(ratios(row(kind), row(kind, system=system), 'per_second')):.2f}"

    lone = {kind: row(kind, clients=1) for kind in KINDS}
    slowest = max(one.worst.max_ms for one in results.rows if one.system == bars.STORE)
    judged = bars.of_all()
    met = sum(bar.is_met for bar in judged)
    text = (
        f"**Speed.** On {results.machine['cores']} cores ({results.machine['CPU']}), which the load generator shares, "
        f"32 clients get {rate('query')} queries/s (p99 {row('query').load.p99_ms:.0f} ms) or {rate('buy')} buys/s "
        f"(p99 {row('buy').load.p99_ms:.0f} ms), and 128 clients {rate('query', 128)} or {rate('buy', 128)}. Each buy "
        f"is synced to disk in both databases. A single client waits {lone['query'].load.p50_ms:.1f} ms for a query "
        f"and {lone['buy'].load.p50_ms:.1f} ms for a buy. The slowest request of all took {slowest:.0f} ms. The rates "
        f"at 32 clients are {times('query', LIMIT)} (queries) and {times('buy', LIMIT)} (buys) times that of a bare "
        f"Werkzeug app under gunicorn's threads which answers a constant ({rate('query', 32, LIMIT)}/s), "
        f"{times('query', 'pocketbase')} and {times('buy', 'pocketbase')} times those of PocketBase, whose durability "
        f"is weaker, and for buys {times('buy', 'flask-1-tier')} times that of Flask with SQLAlchemy. "
        f"[bench/RESULTS.md](bench/RESULTS.md) has the tables, the worst of every run, the commands, and the bars, "
        f"of which {met} of {len(judged)} are met."
    )
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def peers() -> str:
    """Returns the table of the store beside its peers."""
    return _one_product(read_json(RESULTS / "peers.json"))


def transports() -> str:
    """Returns the table of the calls between tiers over other HTTP clients."""
    return _one_product(read_json(RESULTS / "transports.json"))


def growth() -> str:
    """Returns the tables by orders and by products. The peers' table tells more about clients."""
    return _first_tables("growth.md", count=2)


def memory() -> str:
    """Returns the table of the workers' memory."""
    return _first_tables("memory.md")


def storefront() -> str:
    """Returns the table of the shop's pages beside their JSON."""
    return _first_tables("storefront.md")


def csv_export() -> str:
    """Returns the table of the memory of an export."""
    return _first_tables("csv_export.md")


def copies() -> str:
    """Returns the tables of the copies from and to PostgreSQL, and of the buys beside them."""
    return _first_tables("copies.md", count=2)


def latency() -> str:
    """Returns the table of one shopper's latency."""
    return _first_tables("latency.md")


def all_bars() -> str:
    """Returns the table of all bars."""
    return bars.table(bars.of_all())


def _one_product(results: Results) -> str:
    """Returns the measurement's time and machine, and the table of one hot product: queries and buys side by side."""
    machine, options = results.machine, results.options
    about = (
        f"{machine['CPU']}, {machine['cores']} cores, {machine['date']}; medians of {options['rounds']} interleaved "
        f"rounds of {options['seconds']} s. {others(results)}"
    )
    heads = [f"{kind}: requests/s | of the limit | p50 ms | p99 ms | worst p99 | max ms | CPU µs" for kind in KINDS]
    lines = [f"| clients | system | {' | '.join(heads)} |", "|---:|---|" + "---:|" * 14]
    for row in results.rows:
        if (row.cell.kind, row.cell.spread) == ("query", "hot"):
            buy = results.row(row.system, Cell(row.cell.clients, "buy", "hot"))
            cells = [_figures(results, one) for one in (row, buy) if one is not None]
            lines.append(f"| {row.cell.clients} | {results.label(row.system)} | {' | '.join(cells)} |")
    return "\n".join([textwrap.fill(about, 120), "", *lines])


def _figures(results: Results, row: Row) -> str:
    """Returns the cells of a row for one kind of request."""
    load, of_limit = row.load, results.ratios_to_limit(row)
    ratio = f"{statistics.median(of_limit):.2f}" if of_limit else ""
    latency = f"{load.p50_ms:.2f} | {load.p99_ms:.1f} | {row.worst.p99_ms:.1f} | {load.max_ms:.0f}"
    return f"{load.per_second:,.0f} | {ratio} | {latency} | {load.cpu_us:,.0f}"


def _first_tables(name: str, count: int = 1) -> str:
    """Returns the first tables of a file in bench/results/, after the line with its machine and date."""
    paragraphs = (RESULTS / name).read_text().strip().split("\n\n")
    about = [textwrap.fill(paragraph, 120) for paragraph in paragraphs if paragraph.endswith("UTC.")]
    tables = [paragraph for paragraph in paragraphs if paragraph.startswith("|")]
    return "\n\n".join([*about, *tables[:count]])


# By the name of the block.
BLOCKS: Mapping[str, Callable[[], str]] = {
    "how fast": how_fast,
    "peers": peers,
    "bars": all_bars,
    "growth": growth,
    "memory": memory,
    "storefront": storefront,
    "csv export": csv_export,
    "copies": copies,
    "latency": latency,
    "transports": transports,
}


if __name__ == "__main__":
    main()
