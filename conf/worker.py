"""gunicorn's threaded worker, with the errors that it answers by itself in the store's form."""

import json
import socket

import gunicorn.util
from gunicorn.workers.gthread import ThreadWorker


class JsonErrorWorker(ThreadWorker):
    """Serves like gthread; what is no HTTP at all, and never reaches the app, is told so in JSON."""


def write_json_error(sock: socket.socket, status: int, reason: str, message: str) -> None:
    """Instead of gunicorn.util.write_error, which writes HTML. It is called with the message gunicorn found."""
    if status == 501:
        # A transfer coding that gunicorn does not know. For this store it is one more body without a length.
        status, reason, message = 411, "Length Required", "a body needs a Content-Length"
    text = message if message and status < 500 else reason.lower()
    body = json.dumps({"error": {"code": status, "message": text}}, ensure_ascii=True)
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    gunicorn.util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode("latin-1"))


# The worker's handle_error finds the status and then calls this function by its module: the one seam it leaves.
gunicorn.util.write_error = write_json_error
