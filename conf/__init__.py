"""Runs the store: settings, wiring, gunicorn files, and the program behind `make run`."""
