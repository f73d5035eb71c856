"""The tiers as WSGI apps on bare Werkzeug, and the clients by which one tier calls another."""
