import os
import sys

try:
    # Imported in here, so that a Ctrl-C meanwhile leaves no traceback either.
    from conf.output import open_streams

    open_streams()
    from client.program import main

    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:  # the second Ctrl-C: do not wait for the requests under way
    os._exit(130)
