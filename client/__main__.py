"""Runs the client: `python -m client`."""

import os
import sys

try:
    # Imported inside the try, so that a Ctrl-C during the imports prints no traceback either.
    from conf.output import open_streams

    open_streams()
    from client.program import main

    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:  # the second Ctrl-C: exit without waiting for the open requests
    os._exit(130)
