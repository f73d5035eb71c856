"""Runs the owner's program: `python -m admin`."""

import os
import signal
import sys

try:
    # Imported inside the try, so that a Ctrl-C during the imports prints no traceback either.
    from conf.output import open_streams

    open_streams()
    from admin.program import main

    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the exit
    print(file=sys.stderr)
    os._exit(130)  # without a flush of stdout, since the report is incomplete
