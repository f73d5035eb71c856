"""`make run` with the gunicorn files of a test, which are in the folder GUNICORN_FILES."""

import os
import sys
from pathlib import Path

from conf import run


def main() -> int:
    folder = Path(os.environ["GUNICORN_FILES"])
    ours = folder / "supervisord.conf"
    ours.write_text(run.CONFIGURATION.read_text().replace("-c conf/", f"-c {folder}/"))
    return run.main(configuration=ours)


if __name__ == "__main__":
    sys.exit(main())
