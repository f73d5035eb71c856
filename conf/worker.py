"""gunicorn's threaded worker: its own errors in the store's form, and a port that is free once its master is gone."""

import json
import os
import socket
import time
from typing import Any

import gunicorn.util
from gunicorn.workers.gthread import ThreadWorker

from wsgi_apps.errors import error_json

# For how long a client may be silent in the middle of a body, or of a reply that it does not read.
BODY_TIMEOUT_S = 5.0
# For how long the rest of a body is read that the app did not want, so that the connection can be kept.
DRAIN_S = 0.5


class StoreWorker(ThreadWorker):
    """Serves like gthread. A request so broken that it never reaches the app gets its error in JSON."""

    def is_parent_alive(self) -> bool:
        """Whether the master lives. When it was killed, its successor needs the port at once.

        gthread would listen on until the last kept connection is done. Until then the successor could not bind, and
        new shoppers would wait in a queue that nobody serves.
        """
        if super().is_parent_alive():
            return True
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        return False

    def run(self) -> None:
        """Serve until told to stop. An orphan then ends at once: a thread that waits for its client would keep it."""
        super().run()
        if self.ppid != os.getppid():
            os._exit(0)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """One request, whose body must not keep its thread waiting for ever."""
        conn.sock.settimeout(BODY_TIMEOUT_S)
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Whether the connection can serve another request, now that this one is answered.

        gthread would wait longer for the rest of a body that nobody wants, and answer a second time when it turns out
        to be malformed.
        """
        try:
            return keepalive and bool(conn.parser.finish_body(deadline=time.monotonic() + DRAIN_S))
        except Exception:
            return False


def write_json_error(sock: socket.socket, status: int, reason: str, message: str) -> None:
    """Instead of gunicorn.util.write_error, which writes HTML. It is called with the message gunicorn found."""
    if status == 501:
        # A transfer coding that gunicorn does not know. For this store it is one more body without a length.
        status, reason, message = 411, "Length Required", "a body needs a Content-Length"
    text = message if message and status < 500 else reason.lower()
    body = json.dumps(error_json(status, text))
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    gunicorn.util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode("latin-1"))


# The worker's handle_error finds the status and then calls this function by its module: the one seam it leaves.
gunicorn.util.write_error = write_json_error
