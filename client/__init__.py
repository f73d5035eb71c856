"""The shopper's terminal program, which is also the load generator: `python -m client --help`."""
