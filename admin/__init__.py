"""The owner's terminal program: `python -m admin --help`."""
