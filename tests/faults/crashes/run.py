"""`make run` with tiers that die where they are told to: conf.run and its supervisord, with other settings files."""

import os
import sys
from pathlib import Path

from conf import run


def main() -> int:
    ours = Path(os.environ["CRASH_DIR"], "supervisord.conf")
    ours.write_text(run.PROGRAMS.read_text().replace("-c conf/", "-c tests/faults/crashes/conf/"))
    return run.main(ours)


if __name__ == "__main__":
    sys.exit(main())
