import os
import sys

try:
    # Imported in here, so that a Ctrl-C meanwhile leaves no traceback either.
    from conf.output import open_streams

    open_streams()
    from db.program import main

    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:
    print(file=sys.stderr)
    os._exit(130)  # at once: a second Ctrl-C while Python ends would be a death by signal
