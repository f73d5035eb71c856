"""Runs the store as `make run` does, with gunicorn settings that add the crash points."""

import os
import sys
from pathlib import Path

from conf import run


def main() -> int:
    """Runs conf.run with a supervisord.conf of its own, which names those settings. Returns the exit code."""
    ours = Path(os.environ["CRASH_DIR"], "supervisord.conf")
    ours.write_text(run.CONFIGURATION.read_text().replace("-c conf/", "-c tests/faults/crashes/conf/"))
    return run.main(configuration=ours)


if __name__ == "__main__":
    sys.exit(main())
