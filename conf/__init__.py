"""How the store is run: settings, gunicorn files, and the programs behind `make run`."""
