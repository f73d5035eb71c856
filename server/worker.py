"""A gunicorn worker that serves all of its connections from one event loop.

One thread reads, parses, calls the app and writes, for all connections. An app that must wait returns a future
(wsgi_apps/reply.py), which another thread completes, for many requests at once. A connection that waits for its answer,
or for a slow client, needs no thread.

gunicorn's own threaded worker gives a thread to each request, which then waits for the client, for a batch, and for the
tier behind. With 32 shoppers, a front end spent most of its time on switching between these threads.
"""

import errno
import heapq
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from server.connection import Connection, RequestCycle, State
from server.gunicorn_worker import GunicornWorker
from server.reader import RequestReader
from server.request import BadRequest, Request, connection_environ
from server.response import CONTINUE, encode_error
from server.scoreboard import AcceptBackoff, scoreboard_of_this_tier
from wsgi_apps.base import BODY_TOO_SHORT
from wsgi_apps.reply import Deferred

# The longest time from the first byte of a request to its last.
REQUEST_TIMEOUT_S = 5.0
# A client that reads nothing of its response for this long loses its connection.
RESPONSE_TIMEOUT_S = 10.0
# The client's time to read the last response, before the connection is closed.
LINGER_TIMEOUT_S = 2.0
# A stopping worker still takes a request on an idle connection for this long.
LAST_REQUEST_TIMEOUT_S = 0.5
# File descriptors that a worker leaves to its threads, once it has run out of them.
SPARE_FILES = 16
# The pause after a failed accept. Without it the event loop would spin, because the listener stays ready.
SHORTAGE_PAUSE_S = 0.01
# Even a full worker keeps a connection for this long after its accept, or after its last response.
EVICTION_GRACE_S = 0.1
# The limit of all unsent responses of a worker together. Databases and threads need the rest of the memory.
MAX_UNSENT_BYTES = 64 * 1024 * 1024
# A sweep enforces the deadlines. It also notifies the master process, which kills a worker after 30 s of silence.
SWEEP_INTERVAL_S = 0.1

# The events of the socket that the event loop waits for in each state.
_EVENTS = {
    State.IDLE: selectors.EVENT_READ,
    State.READING: selectors.EVENT_READ,
    State.ANSWERING: selectors.EVENT_READ,  # removed only when data comes: each change costs a system call
    State.WRITING: selectors.EVENT_WRITE,
    State.LINGERING: selectors.EVENT_READ,
    State.CLOSED: 0,
}


class StoreWorker(GunicornWorker):
    """Serves any WSGI app over plain HTTP/1. Each response is complete before its first byte is sent.

    An app that blocks delays all clients of the worker. An app that must wait returns a `Deferred` instead.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._scoreboard = scoreboard_of_this_tier()
        self._accept_backoff = AcceptBackoff(self._scoreboard)
        self._connections: set[Connection] = set()
        self._max_connections = self.cfg.worker_connections
        self._pipelined: deque[Connection] = deque()  # their buffers have the next request, or a part of it
        self._answered: deque[Connection] = deque()  # the future of each is done
        self._wake_sent = False  # a byte in PIPE will wake the event loop
        self._accepting = False  # the event loop waits for the listeners
        self._sweep_at = 0.0
        self._pre_request, self._post_request = self.hook("pre_request"), self.hook("post_request")
        self._timeouts_s = {
            State.IDLE: self.cfg.keepalive,
            State.READING: REQUEST_TIMEOUT_S,
            State.WRITING: RESPONSE_TIMEOUT_S,
            State.LINGERING: LINGER_TIMEOUT_S,
        }

    def run(self) -> None:
        """Serves until a signal stops the worker, then finishes the requests under way.

        An orphan ends its process even while its threads are busy.
        """
        self._publish_connections()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.PIPE[0], selectors.EVENT_READ, self._on_wake)
        while self.alive:
            self._set_accepting(len(self._connections) < self._max_connections)
            self._run_once()
        self._stop()
        if self.is_orphan():
            os._exit(0)

    # The event loop.

    def _run_once(self) -> None:
        """Handles the next events: connections, requests, answers of the app. Waits until the next sweep at most."""
        for key, _ in self._selector.select(0 if self._pipelined else SWEEP_INTERVAL_S):
            key.data()
        for _ in range(len(self._pipelined)):  # one request each: no client delays the others
            self._guard(self._read_request, self._pipelined.popleft())
        now = time.monotonic()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_INTERVAL_S
            self._sweep(now)
            self.notify()
            self.alive = self.alive and not self.is_orphan()
        if len(self._connections) >= self._max_connections:
            self._evict_idle(now)

    def _sweep(self, now: float) -> None:
        """Ends connections that miss their deadline and, above MAX_UNSENT_BYTES, those of the slowest clients."""
        for connection in list(self._connections):
            if connection.deadline is not None and connection.deadline <= now:
                self._guard(self._on_timeout, connection)
        slow = sorted((each for each in self._connections if each.outbox), key=lambda each: -each.state_since)
        while sum(len(connection.outbox) for connection in slow) > MAX_UNSENT_BYTES:
            self._close(slow.pop())  # the one whose client has read nothing for the longest time

    def _stop(self) -> None:
        """Accepts no more connections, and ends the present ones within gunicorn's graceful_timeout."""
        self.alive = False
        self._scoreboard.clear(self.age)  # no other worker may leave connections to this one
        self._set_accepting(False)
        for listener in self.sockets:
            listener.close()  # a successor of a killed master process needs the port at once
        for connection in self._connections:
            if connection.state is State.IDLE:
                self._enter(connection, State.IDLE)  # again, now with LAST_REQUEST_TIMEOUT_S
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while self._connections and time.monotonic() < deadline:
            self._run_once()
        for connection in list(self._connections):
            self._close(connection)

    def _on_wake(self) -> None:
        """Sends the answers that other threads have completed. A signal wakes the event loop, too."""
        with suppress(BlockingIOError):
            os.read(self.PIPE[0], 4096)
        self._wake_sent = False  # before the queue is read: a later answer must wake the event loop again
        while self._answered:
            self._guard(self._respond, self._answered.popleft())

    def _guard(self, step: Callable[[Connection], None], connection: Connection) -> None:
        """Runs a step of a connection, unless it is closed. An error closes this connection and no other."""
        if connection.state is State.CLOSED:
            return
        try:
            step(connection)
        except OSError:
            self._close(connection)  # the client has reset it
        except Exception:
            self.log.exception("a connection failed")
            self._close(connection)

    def _enter(self, connection: Connection, state: State, timeout_s: float | None = None) -> None:
        """Changes the state of a connection, its deadline and its events. By default the state says the timeout."""
        if timeout_s is None:
            is_last = state is State.IDLE and not self.alive
            timeout_s = LAST_REQUEST_TIMEOUT_S if is_last else self._timeouts_s.get(state)
        connection.enter(state, timeout_s)
        self._watch(connection, _EVENTS[state])

    def _watch(self, connection: Connection, events: int) -> None:
        """Makes the event loop wait for these events of a connection, and for no others."""
        if events == connection.events:
            return
        if not events:
            self._selector.unregister(connection.sock)
        else:
            watch = self._selector.modify if connection.events else self._selector.register
            watch(connection.sock, events, partial(self._guard, self._on_event, connection))
        connection.events = events

    # Accepting and closing connections.

    def _set_accepting(self, accepting: bool) -> None:
        """Makes the event loop wait for the listeners, or ignore them."""
        if accepting == self._accepting:
            return
        self._accepting = accepting
        for listener in self.sockets:
            if accepting:
                self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener))
            else:
                self._selector.unregister(listener)

    def _accept(self, listener: socket.socket) -> None:
        """Accepts a new connection, unless another worker should."""
        if self._accept_backoff.is_on(len(self._connections)):
            return
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another worker was faster, or the client has hung up
        except OSError as error:
            self._on_shortage(error)
            return
        sock.setblocking(False)
        environ = connection_environ(client, listener.getsockname(), multiprocess=self.cfg.workers > 1)
        connection = Connection(sock, environ["REMOTE_ADDR"], RequestReader(environ))
        self._connections.add(connection)
        self._publish_connections()
        self._guard(lambda connection: self._enter(connection, State.IDLE, REQUEST_TIMEOUT_S), connection)

    def _on_shortage(self, error: OSError) -> None:
        """Logs a failed accept. When no file descriptor is left, lowers the limit of connections for good."""
        connections = len(self._connections)
        if error.errno != errno.EMFILE or connections < 2:
            # A temporary error: of the client's network, or a shortage of the machine or of this worker's threads.
            self.log.error("a connection was not taken: %s", error)
            time.sleep(SHORTAGE_PAUSE_S)
            return
        # The new limit is below the present number: threads need file descriptors, too, for databases and other tiers.
        self._max_connections = max(connections - SPARE_FILES, connections // 2)
        self.log.error("no more than %d connections from now on: %s", self._max_connections, error)

    def _publish_connections(self) -> None:
        """Tells the other workers how many connections this one has, until it stops."""
        if self.alive:
            self._scoreboard.set(self.age, len(self._connections))

    def _evict_idle(self, now: float) -> None:
        """Closes the connections that have waited longest for their clients, until there is room for one more.

        Otherwise one client with enough silent connections would lock all others out. A connection is never closed
        while the app has its request, because it then has no deadline.
        """
        waiting = [
            connection
            for connection in self._connections
            if connection.deadline is not None and connection.state_since < now - EVICTION_GRACE_S
        ]
        too_many = len(self._connections) - self._max_connections + 1
        for connection in heapq.nsmallest(too_many, waiting, key=lambda connection: connection.eviction_key):
            self._close(connection)

    def _on_timeout(self, connection: Connection) -> None:
        """Closes a connection whose client was too slow; an incomplete request is answered with 408 first."""
        if connection.state is State.READING:
            part = "body" if connection.reader.awaits_body else "request"
            self._refuse(connection, BadRequest(408, f"the {part} did not come in time"))
        else:
            self._close(connection)

    def _linger(self, connection: Connection) -> None:
        """Begins a lingering close: closes the sending direction only.

        A full close could destroy data that the client has not read yet.
        """
        connection.sock.shutdown(socket.SHUT_WR)
        self._enter(connection, State.LINGERING)
        if connection.is_half_closed:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        """Closes a connection in any state, and forgets it."""
        if connection.state is State.CLOSED:
            return
        self._enter(connection, State.CLOSED)
        connection.cycle = None
        self._connections.discard(connection)
        self._publish_connections()
        connection.sock.close()

    # From a request to its response: read, call the app, take its answer, send.

    def _on_event(self, connection: Connection) -> None:
        """Handles an event of the socket according to the state of the connection."""
        if not connection.events:
            return  # an earlier event of this round has ended the wait for this one
        if connection.state is State.WRITING:
            self._send(connection)
        elif connection.state is State.ANSWERING:
            self._watch(connection, 0)  # the next request is read after this response
        elif connection.receive():
            if connection.state is not State.LINGERING:
                self._read_request(connection)
            elif connection.is_half_closed:
                self._close(connection)

    def _read_request(self, connection: Connection) -> None:
        """Calls the app with the next request, if all of it has come."""
        reader = connection.reader
        try:
            request = reader.next_request()
        except BadRequest as error:
            self._refuse(connection, error)
            return
        if request is not None:
            self._call_app(connection, request)
        elif connection.is_half_closed:
            if reader.awaits_body:
                self._refuse(connection, BadRequest(400, BODY_TOO_SHORT))
            else:
                self._close(connection)
        else:
            self._await_rest(connection)

    def _await_rest(self, connection: Connection) -> None:
        """Waits for a request, or for the rest of one. Its timeout begins with its first byte."""
        state = State.IDLE if connection.reader.is_empty else State.READING
        if connection.state is not state:
            self._enter(connection, state)
        self._watch(connection, selectors.EVENT_READ)  # `_send` has ended the wait when a part was in the buffer
        if connection.reader.take_expectation():
            connection.outbox += CONTINUE
            connection.transmit()

    def _refuse(self, connection: Connection, error: BadRequest) -> None:
        """Answers a malformed request with an error, and closes: the start of the next request is unknown."""
        self.log.warning("a request from %s was refused: %s", connection.client, error)
        connection.outbox += encode_error(error.status, error.message, omit_body=connection.reader.is_head_request)
        connection.closes_after_send = True
        self._send(connection)

    def _call_app(self, connection: Connection, request: Request) -> None:
        """Calls the app. Its response is sent at once or, if it is a Deferred, when its future is done."""
        self._enter(connection, State.ANSWERING)
        cycle = connection.cycle = RequestCycle(request)
        if self._pre_request is not None:
            self._pre_request(self, request)
        self.count_request()
        try:
            cycle.answer = self.wsgi(request.environ, cycle.response.start)
        except Exception as error:
            self._fail(connection, error)
            return
        if isinstance(cycle.answer, Deferred):
            cycle.answer.future.add_done_callback(lambda _future: self._on_answer(connection))
        else:
            self._respond(connection)

    def _on_answer(self, connection: Connection) -> None:
        """Queues an answer; runs in the thread that has completed it. One wake-up serves all answers of a round."""
        self._answered.append(connection)
        if not self._wake_sent:
            self._wake_sent = True
            with suppress(BlockingIOError):  # a full pipe wakes the event loop as well
                os.write(self.PIPE[1], b"\0")

    def _respond(self, connection: Connection) -> None:
        """Encodes and sends the response of the app, and logs the request."""
        assert connection.cycle is not None
        request, response, answer = connection.cycle.request, connection.cycle.response, connection.cycle.answer
        keep_alive = request.keep_alive and self.alive and self._timeouts_s[State.IDLE] > 0
        try:
            try:
                data = response.encode(answer, omit_body=request.is_head, keep_alive=keep_alive)
            finally:
                if hasattr(answer, "close"):
                    answer.close()
        except Exception as error:
            self._fail(connection, error)
            return
        self.log.access(
            response, request, request.environ, timedelta(seconds=time.monotonic() - connection.state_since)
        )
        if self._post_request is not None:
            self._post_request(self, request, request.environ, response)
        connection.cycle = None
        connection.outbox += data
        connection.closes_after_send = not keep_alive
        self._send(connection)

    def _fail(self, connection: Connection, error: Exception) -> None:
        """Answers 500 for an app that failed. No byte of its response has been sent."""
        assert connection.cycle is not None
        request = connection.cycle.request
        uri = f"{request.environ['REQUEST_METHOD']} {request.environ['RAW_URI']}"
        self.log.error("Error handling request %s", uri, exc_info=error)
        connection.cycle = None
        connection.outbox += encode_error(500, "internal server error", omit_body=request.is_head)
        connection.closes_after_send = True
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        """Sends the outbox. Then closes the connection, or goes on with its next request."""
        if not connection.transmit():
            self._enter(connection, State.WRITING)
        elif connection.closes_after_send:
            self._linger(connection)
        elif connection.reader.is_empty:
            self._enter(connection, State.IDLE)
        else:
            self._enter(connection, State.READING)
            self._watch(connection, 0)
            self._pipelined.append(connection)
