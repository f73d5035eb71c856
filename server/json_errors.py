"""gunicorn's own errors, for requests so broken that they never reach the app, in the store's form."""

import json
from typing import Any

import gunicorn.util

from wsgi_apps.base import HEADERS_OF_ALL
from wsgi_apps.errors import error_json


def write_json_error(connection: Any, status: int, reason: str, message: str) -> None:
    """Instead of gunicorn.util.write_error, which writes HTML. It is called with the message gunicorn found."""
    if status == 501:
        # A transfer coding that gunicorn does not know. For this store it is one more body without a length.
        status, reason, message = 411, "Length Required", "a body needs a Content-Length"
    text = message if message and status < 500 else reason.lower()
    body = json.dumps(error_json(status, text)) + "\n"
    headers = {"Connection": "close", "Content-Type": "application/json", "Content-Length": len(body), **HEADERS_OF_ALL}
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join(lines)
    connection.sendall(f"{head}\r\n\r\n{body}".encode("latin-1"))


# The worker's handle_error finds the status and then calls this function by its module: the one seam it leaves.
gunicorn.util.write_error = write_json_error
