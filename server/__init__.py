"""The HTTP server: a gunicorn worker that serves all of its connections from one event loop."""
