"""Breaks a cluster in every way while shoppers buy: `make cluster-faults`.

The cluster has three database nodes and two of each tier. As root each node has a network of its own, which can be cut.
Every answer is held against the books after each fault. At the end comes a cluster without synchronous replication, in
which the same checks must find losses. The exit code is 1 when anything is found, or when nothing is found there.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster.programs import Missing, Programs, as_user, find
from cluster.run import REQUIREMENTS
from cluster.tiers import ROOT
from tests.cluster.campaign import HEADING, Campaign, Result
from tests.cluster.faults import FAULTS, LAGGING_STANDBYS, SHORT, Fault
from tests.cluster.networks import Networks
from tests.cluster.store import NODES, FaultyStore
from tests.cluster.verdict import KINDS

SHOPPERS = 32


def main(arguments: Sequence[str]) -> int:
    """Runs the campaigns. Returns 0, 1 for any finding, 2 where a program is missing, or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, _interrupt_once)
    has_networks = options.in_network or (os.getuid() == 0 and shutil.which("ip") is not None)
    try:
        if options.folder is not None:
            return _run_all(options, find(options.folder, REQUIREMENTS), has_networks)
        with tempfile.TemporaryDirectory(prefix="toystore-cluster-") as name:
            folder = Path(name)
            folder.chmod(0o755)  # the servers run as another user, each in a folder of its own
            programs = find(folder, REQUIREMENTS)
            if has_networks:  # once more, in a network without any other host
                inside = ["unshare", "--net", sys.executable, "-m", "tests.cluster", "--in-network", "--folder", name]
                command = as_user(programs.setpriv, None, [*inside, *arguments])
                return _wait(subprocess.Popen(command, cwd=ROOT, start_new_session=True))
            options.folder = folder
            return _run_all(options, programs, has_networks)
    except TimeoutError as error:  # the store did not come back
        print(f"cluster-faults: {error}", file=sys.stderr)
        return 1
    except (Missing, OSError) as error:
        print(f"cluster-faults: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cluster-faults: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--buys", type=int, help="answered buys of all faults together, at least (default 100000, short 3000)"
    )
    parser.add_argument("--shoppers", type=int, default=SHOPPERS, help=f"shoppers (default {SHOPPERS})")
    parser.add_argument("--only", metavar="TEXT", help="only the faults with this text in their names")
    parser.add_argument("--short", action="store_true", help="two faults, of about a minute")
    parser.add_argument("--without-losses", action="store_true", help="leave out the cluster that must lose buys")
    parser.add_argument("--seed", type=int, default=1, help="seed of the shoppers (default 1)")
    parser.add_argument("--keep-logs", type=Path, metavar="FOLDER", help="copy all logs to this folder")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--in-network", action="store_true", help=argparse.SUPPRESS)
    return parser


def _run_all(options: argparse.Namespace, programs: Programs, has_networks: bool) -> int:
    """Runs the faults, and then the cluster that must lose buys. Returns the exit code."""
    try:
        return _run_both(options, programs, has_networks)
    finally:
        if options.keep_logs is not None:
            _keep_logs(options.folder, options.keep_logs)


def _run_both(options: argparse.Namespace, programs: Programs, has_networks: bool) -> int:
    show = _progress()
    all_faults = SHORT if options.short else FAULTS
    faults = [fault for fault in all_faults if (options.only or "") in fault.name]
    possible = [fault for fault in faults if has_networks or not fault.needs_networks]
    share = (options.buys or (3_000 if options.short else 100_000)) // len(all_faults) + 1
    results: list[Result] = []
    if possible:
        with _store(options, programs, has_networks, len(possible), "cluster") as store:
            campaign = Campaign(store, shoppers=options.shoppers, seed=options.seed, on_progress=show)
            results = [campaign.run_one(fault, share) for fault in possible]
            show(f"{campaign.answered:,} answered buys; responses {dict(sorted(campaign.statuses.items()))}")
    lost = None if options.without_losses or options.short else _losses(options, programs, has_networks, show)
    _print_report(results, [fault for fault in faults if fault not in possible], lost)
    is_clean = all(result.verdict.is_clean for result in results)
    return 0 if is_clean and (lost is None or lost.verdict.count("lost")) else 1


def _keep_logs(folder: Path, target: Path) -> None:
    """Copies all logs of a run, each under the name of its folder."""
    for log in folder.rglob("*.log"):
        copy = target / log.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, copy)


def _store(
    options: argparse.Namespace,
    programs: Programs,
    has_networks: bool,
    phases: int,
    name: str,
    *,
    is_synchronous: bool = True,
) -> FaultyStore:
    folder = options.folder / name
    folder.mkdir()
    networks = Networks(NODES) if has_networks else None
    return FaultyStore(folder, programs, networks, phases=phases, is_synchronous=is_synchronous)


def _losses(options: argparse.Namespace, programs: Programs, has_networks: bool, show: Callable[[str], None]) -> Result:
    """Kills the leader of an asynchronous cluster, and returns what the checks find."""
    show("a cluster without synchronous replication, which must lose buys")
    with _store(options, programs, has_networks, 1, "asynchronous", is_synchronous=False) as store:
        campaign = Campaign(store, shoppers=options.shoppers, seed=options.seed, on_progress=show)
        return campaign.run_one(LAGGING_STANDBYS, 1_000)


def _print_report(results: Sequence[Result], impossible: Sequence[Fault], lost: Result | None) -> None:
    """Prints a line for each fault, and then what was found, in detail."""
    print(f"\n{HEADING}")
    for result in results:
        print(result)
    for fault in impossible:
        print(f"{fault.name:36} not run: only root can make a network for each node")
    for result in results:
        for line in result.verdict.details():
            print(f"FOUND after {result.fault.name}: {line}")
    answered = sum(result.answered for result in results)
    totals = {kind: sum(result.verdict.count(kind) for result in results) for kind in KINDS}
    print(
        f"{answered:,} answered buys in {len(results)} faults: "
        + ", ".join(f"{n} {kind}" for kind, n in totals.items())
    )
    if lost is not None:
        found = lost.verdict.count("lost")
        judged = f"the checks find {found:,} lost buys" if found else "FOUND nothing, so the checks prove nothing"
        print(f"without synchronous replication: {judged}")


def _progress() -> Callable[[str], None]:
    begun = time.monotonic()

    def show(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {line}", file=sys.stderr, flush=True)

    return show


def _interrupt_once(*_: object) -> None:
    """Raises KeyboardInterrupt at the first signal. Further ones must not interrupt the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _wait(inside: "subprocess.Popen[bytes]") -> int:
    """Waits for the program in its network, which gets the same signals, and cleans up before it ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: inside.send_signal(signal.SIGINT))
    return inside.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
