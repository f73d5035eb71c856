import os
import sys

try:
    # Imported in here, so that a Ctrl-C meanwhile leaves no traceback either.
    from client.program import main

    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.exit(code)
except KeyboardInterrupt:  # the second Ctrl-C: do not wait for the requests under way
    os._exit(130)
except BrokenPipeError:  # who read the report has gone
    os._exit(1)
except OSError as error:  # a full disk behind the report, say; what is still unwritten must not be tried again
    print(f"client: {error}", file=sys.stderr)
    os._exit(1)
