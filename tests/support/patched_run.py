"""Runs `make run` with the gunicorn settings files of a test, from the folder GUNICORN_FILES."""

import os
import sys
from pathlib import Path

from conf import run


def main() -> int:
    """Runs conf.run with a supervisord.conf in that folder which names its files. Returns the exit code."""
    folder = Path(os.environ["GUNICORN_FILES"])
    configuration = folder / "supervisord.conf"
    configuration.write_text(run.CONFIGURATION.read_text().replace("-c conf/", f"-c {folder}/"))
    return run.main(configuration=configuration)


if __name__ == "__main__":
    sys.exit(main())
