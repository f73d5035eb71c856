import os
import signal
import sys

try:
    # Imported in here, so that a Ctrl-C meanwhile leaves no traceback either.
    from conf.output import open_streams

    open_streams()
    from admin.program import main

    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C has nothing to add
    print(file=sys.stderr)
    os._exit(130)  # at once, for what is printed so far is half a report
