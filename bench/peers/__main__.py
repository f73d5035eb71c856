"""Starts the systems, loads them in turn, checks that they kept their promises, and writes the figures."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import machine
from bench.load import require_wrk
from bench.peers import figures
from bench.peers.flask_one import FlaskOne
from bench.peers.flask_three import FlaskThree
from bench.peers.limit import Limit, limit_under_store_worker, other_limit
from bench.peers.measure import measure
from bench.peers.pocketbase import PocketBase
from bench.peers.report import markdown
from bench.peers.results import Description, Results, write_json
from bench.peers.store import Store
from bench.peers.store_postgres import PostgresStore
from bench.peers.store_variants import over, unbatched, under_gevent
from bench.peers.system import System
from bench.peers.tryout import try_out
from bench.peers.versions import versions
from bench.program import RESULTS, print_progress
from tests.support.tiers import ROOT

PEERS: tuple[Callable[[], System], ...] = (
    *(Limit, limit_under_store_worker, Store, under_gevent, unbatched),
    *(PocketBase, FlaskOne, FlaskThree),
)
# Started only when --only names them.
VARIANTS: tuple[Callable[[], System], ...] = (
    PostgresStore,
    *(partial(over, library) for library in ("http.client", "urllib3")),
    *(partial(other_limit, workers, threads) for workers, threads in ((1, 16), (2, 4), (2, 8), (2, 32), (4, 16))),
)


class StartFailed(Exception):
    """A system did not start, or gives wrong answers. The message names it and the reason."""


def main() -> int:
    """Compares the chosen systems. Returns 1 when one did not start or broke a promise."""
    peers = [make() for make in PEERS]
    systems = {system.name: system for system in [*peers, *(make() for make in VARIANTS)]}
    options = parse(list(systems), [peer.name for peer in peers], sys.argv[1:])
    require_wrk()
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(128 + signal.SIGTERM))
    try:
        results = run([system for name, system in systems.items() if name in options.only], options)
    except StartFailed as failure:
        print(f"bench.peers: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench.peers: interrupted, nothing was written", file=sys.stderr)
        return 128 + signal.SIGINT
    write(results, options.name)
    return 1 if results.void else 0


def parse(names: Sequence[str], default: Sequence[str], arguments: Sequence[str]) -> argparse.Namespace:
    """Returns the checked options."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--rounds", type=_count, default=5, help="rounds, of which the median counts (default 5)")
    parser.add_argument("--seconds", type=_count, default=2, help="length of each load (default 2)")
    parser.add_argument(
        "--clients", type=_count, nargs="+", default=[1, 8, 32, 128], help="connections (default 1 8 32 128)"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=names,
        default=default,
        metavar="NAME",
        help=f"systems, of: {', '.join(names)} (default: {', '.join(default)})",
    )
    parser.add_argument(
        "--name",
        default="peers",
        help="prefix of the files in bench/results/ (default peers); existing ones are replaced",
    )
    options = parser.parse_args(arguments)
    options.clients = sorted(set(options.clients))
    return options


def run(systems: Sequence[System], options: argparse.Namespace) -> Results:
    """Starts, measures, checks and stops the systems. They are stopped after an error too. Raises StartFailed."""
    RESULTS.mkdir(exist_ok=True)
    with ExitStack() as ending:
        # Not in /tmp, which may be in memory: a commit must reach a disk.
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="peers-", dir=RESULTS)))
        try:
            for system in systems:
                print_progress(f"starting {system.name}")
                ending.callback(system.stop)
                start(system, folder / system.name)
            rows = measure(systems, options.clients, options.rounds, options.seconds)
            void = broken_promises(systems)
            described = [Description(system.name, system.about, system.durability) for system in systems]
            return Results(machine.about(), versions(folder, systems), vars(options), described, rows, void)
        finally:
            # A second Ctrl-C must interrupt neither the stops nor the writes.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def start(system: System, folder: Path) -> None:
    """Starts a system and checks its answers. Raises StartFailed."""
    folder.mkdir()
    try:
        system.start(folder)
        try_out(system)
    except (AssertionError, OSError) as error:
        raise StartFailed(f"{system.name}: {error}") from error


def broken_promises(systems: Sequence[System]) -> dict[str, str]:
    """Returns the broken promise of each system whose run is void."""
    void: dict[str, str] = {}
    for system in systems:
        print_progress(f"checking {system.name}")
        try:
            system.check()
        except AssertionError as broken:
            void[system.name] = str(broken)
            print_progress(f"bench.peers: VOID: {system.name}: {broken}")
    return void


def write(results: Results, name: str) -> None:
    """Prints the report, and writes it with its JSON and figures to bench/results/."""
    write_json(results, RESULTS / f"{name}.json")
    text = markdown(results)
    (RESULTS / f"{name}.md").write_text(text)
    print(text)
    figures.save(results, RESULTS, name)
    print_progress(f"written: {(RESULTS / name).relative_to(ROOT)}.json, .md, -throughput.png and -p99.png")


def _count(text: str) -> int:
    """Reads an option that is a whole number from 1 to 10,000."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return number


if __name__ == "__main__":
    sys.exit(main())
