"""gunicorn's own errors, for requests so broken that they never reach the app, in the store's form."""

import json
from typing import Any

import gunicorn.util

from wsgi_apps.errors import error_json


def write_json_error(connection: Any, status: int, reason: str, message: str) -> None:
    """Instead of gunicorn.util.write_error, which writes HTML. It is called with the message gunicorn found."""
    if status == 501:
        # A transfer coding that gunicorn does not know. For this store it is one more body without a length.
        status, reason, message = 411, "Length Required", "a body needs a Content-Length"
    text = message if message and status < 500 else reason.lower()
    body = json.dumps(error_json(status, text))
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode("latin-1"))


# The worker's handle_error finds the status and then calls this function by its module: the one seam it leaves.
gunicorn.util.write_error = write_json_error
