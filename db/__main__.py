import os
import signal
import sys

try:
    # Imported in here, so that a Ctrl-C meanwhile leaves no traceback either.
    from db.program import main

    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.exit(code)
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C has nothing to add
    print(file=sys.stderr)
    os._exit(130)  # at once, for what is printed so far is half a report
except BrokenPipeError:  # who read the report has gone
    os._exit(1)
except OSError as error:  # a full disk behind the report, say; what is still unwritten must not be tried again
    print(f"toy store: {error}", file=sys.stderr)
    os._exit(2)
