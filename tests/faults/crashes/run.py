"""`make run` with tiers that die where they are told to: conf.run and its supervisord, with other settings files."""

import os
import sys
from pathlib import Path

from conf import run

PRODUCT = "conf/supervisord.conf"


def main() -> int:
    ours = Path(os.environ["CRASH_DIR"], "supervisord.conf")
    ours.write_text((run.ROOT / PRODUCT).read_text().replace("-c conf/", "-c tests/faults/crashes/conf/"))
    command = [str(ours) if part == PRODUCT else part for part in run._supervisord()]
    vars(run)["_supervisord"] = lambda: command
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
