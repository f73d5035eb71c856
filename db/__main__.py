import os
import sys

try:
    # Imported in here, so that a Ctrl-C meanwhile leaves no traceback either.
    from db.program import main

    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.exit(code)
except KeyboardInterrupt:
    print(file=sys.stderr)
    os._exit(130)  # at once: a second Ctrl-C while Python ends would be a death by signal
except BrokenPipeError:  # who read the report has gone
    os._exit(1)
except OSError as error:  # a full disk behind the report, say; what is still unwritten must not be tried again
    print(f"toy store: {error}", file=sys.stderr)
    os._exit(2)
