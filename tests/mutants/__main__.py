"""Applies each seeded bug of the catalogue to a copy of the store, and reports the test that catches it."""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.support.tiers import ROOT

# Cheapest first: most bugs are caught within seconds.
SUITES = ("tests/unit", "tests/integration", "tests/faults", "tests/e2e")
SUITE_TIMEOUT_S = 600
# Left out, because they compare texts: they fail for every mutant of the file, whatever it breaks.
TESTS_OF_TEXTS = (
    "tests/unit/tests/test_mutants.py",
    "tests/unit/db/test_released_migrations.py",
)
TABLE = ROOT / "docs" / "mutants.md"


def main(arguments: Sequence[str]) -> int:
    """Applies the chosen mutants. Returns 0 when all were caught, 1 when one survived, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="mutants whose name has this text")
    parser.add_argument("--suites", nargs="+", metavar="PATH", default=SUITES, help=f"default: {' '.join(SUITES)}")
    options = parser.parse_args(arguments)
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    if not chosen:
        parser.error(f"no mutant has {options.only!r} in its name")
    # A shell starts background jobs with SIGINT ignored, and all processes of the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        caught = judge(chosen, options.suites)
    except KeyboardInterrupt:
        print("mutants: interrupted", file=sys.stderr)
        return 130
    if caught is None:
        return 1
    if not options.only:
        TABLE.write_text(table(caught))
        report(f"written: {TABLE.relative_to(ROOT)}")
    survivors = [mutant.name for mutant, test in caught.items() if test is None]
    report(
        f"{len(caught) - len(survivors)} of {len(caught)} caught" + "".join(f"\nSURVIVED: {name}" for name in survivors)
    )
    return 1 if survivors else 0


def judge(mutants: Sequence[Mutant], suites: Sequence[str]) -> dict[Mutant, str | None] | None:
    """Returns the test that caught each mutant, None for a survivor. Returns None when the unchanged store fails."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder, "store")
        copy_store(copy)
        report("the unchanged store, which must pass")
        if (failure := first_failure(copy, suites)) is not None:
            report(f"without any mutant, {failure} fails: nothing can be judged")
            return None
        caught: dict[Mutant, str | None] = {}
        caught_by = files_in_table(TABLE.read_text())
        for mutant in mutants:
            begun = time.monotonic()
            likely = [path for path in likely_suites(mutant, caught_by) if (copy / path).exists()]
            caught[mutant] = first_failure_with(mutant, copy, [*likely, *suites])
            verdict = caught[mutant] or "SURVIVED"
            report(f"{len(caught):3} of {len(mutants)}  {time.monotonic() - begun:4.0f} s  {mutant.name}: {verdict}")
        return caught


def likely_suites(mutant: Mutant, caught_by: Mapping[str, str]) -> list[str]:
    """Returns the tests that run first: those that caught the mutant last time, and those of its own module."""
    file = Path(mutant.file)
    folder = f"tests/unit/{file.parent}"
    over_http = [str(path.relative_to(ROOT)) for path in ROOT.glob(f"tests/integration/test_{file.stem}*.py")]
    own = [f"{folder}/test_{file.stem}.py", *sorted(over_http), folder]
    if mutant.file.startswith("migrations/"):
        own = ["tests/unit/db"]
    return [caught_by[mutant.name], *own] if mutant.name in caught_by else own


def files_in_table(markdown: str) -> dict[str, str]:
    """Returns, by mutant, the file of the test that caught it according to a table of an earlier run."""
    return dict(re.findall(r"^\| (.+?) \| .*`(tests/[^`:]+\.py)::", markdown, re.MULTILINE))


def copy_store(copy: Path) -> None:
    """Copies all files that git tracks or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def first_failure_with(mutant: Mutant, copy: Path, suites: Sequence[str]) -> str | None:
    """Returns the first test that fails with this mutant in the copy, and restores the copy."""
    file = copy / mutant.file
    original = file.read_text()
    assert original.count(mutant.old) == 1, f"{mutant.name}: its old text must occur once in {mutant.file}"
    file.write_text(original.replace(mutant.old, mutant.new))
    try:
        return first_failure(copy, suites)
    finally:
        file.write_text(original)


def first_failure(copy: Path, suites: Sequence[str]) -> str | None:
    """Returns the first test of the suites that fails, or the suite that hangs; None when all pass."""
    for suite in suites:
        options = ["-x", "-q", "-rfE", "--no-header", "--tb=no", "--numprocesses=auto"]
        for test in TESTS_OF_TEXTS:
            options += ["--deselect", test]
        command = [sys.executable, "-m", "pytest", suite, *options]
        try:
            run = subprocess.run(
                command, cwd=copy, capture_output=True, text=True, timeout=SUITE_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return f"{suite} (hangs)"
        if run.returncode:
            found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", run.stdout, re.MULTILINE)
            return found[1] if found else f"{suite} (does not start)"
    return None


def table(caught: dict[Mutant, str | None]) -> str:
    """Returns the catalogue as a Markdown table with the test that caught each mutant."""
    lines = [
        "# Seeded bugs, and the test that catches each",
        "",
        "Written by `make mutants`, which applies each bug to a copy of the store and runs the tests until one fails.",
        "",
        "| bug | file | damage | caught by |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {mutant.name} | `{mutant.file}` | {mutant.breaks} | {f'`{test}`' if test else '**no test**'} |"
        for mutant, test in caught.items()
    ]
    return "\n".join(lines) + "\n"


def report(line: str) -> None:
    """Prints a line of progress or of the result."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
