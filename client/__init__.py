"""The shopper's terminal program, which also generates load: `python -m client --help`."""
