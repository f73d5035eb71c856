"""A gunicorn worker with one thread for all connections: connections wait for answers, and threads do not.

gunicorn's threaded worker gives each request to a thread, which then waits for the client, for company in a batch, for
the tier behind. With 32 shoppers most of a front end's time went into switching between such threads. Here one thread
reads, parses, calls the app and writes, for all connections. An answer that must be waited for is a future
(wsgi_apps/reply.py), kept by a thread that works for many; its connection costs nothing meanwhile. Nor does one whose
client dawdles.
"""

import errno
import heapq
import math
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
from server.scoreboard import scoreboard_of_this_tier
from wsgi_apps.base import BODY_TOO_SHORT
from wsgi_apps.reply import Deferred

# A request must be whole so long after its first byte.
REQUEST_TIMEOUT_S = 5.0
# A client that takes nothing of its response for so long is left.
RESPONSE_TIMEOUT_S = 10.0
# A client has so long to read our last words before we close its side, too.
LINGER_TIMEOUT_S = 2.0
# A new connection is left so long to a worker that has fewer. That one may be busy.
ACCEPT_BACKOFF_S = 0.001
# A stopping worker still takes a request on a kept connection for so long.
LAST_REQUEST_TIMEOUT_S = 0.5
# File descriptors that a worker keeps free for its threads once it has run out.
SPARE_FILES = 16
# The pause after a connection that could not be taken. The listener calls again at once.
SHORTAGE_PAUSE_S = 0.01
# A client that has just come, or was just answered, keeps its connection so long even when the worker is full.
EVICTION_GRACE_S = 0.1
# All responses that wait for slow clients. More would be the memory that databases and threads need.
MAX_UNSENT_BYTES = 64 * 1024 * 1024
# Between two sweeps. The master hears of the worker as often, and kills it after 30 s of silence.
SWEEP_INTERVAL_S = 0.1

_EVENTS = {
    State.IDLE: selectors.EVENT_READ,
    State.READING: selectors.EVENT_READ,
    State.ANSWERING: selectors.EVENT_READ,  # until something comes, for to stop and start waiting costs a call each
    State.WRITING: selectors.EVENT_WRITE,
    State.LINGERING: selectors.EVENT_READ,
    State.CLOSED: 0,
}


class StoreWorker(GunicornWorker):
    """Serves any WSGI app over plain HTTP/1; a response is gathered whole before it leaves.

    An app that waits keeps all its clients waiting, unless it answers with a `Deferred`.
    """

    _backs_off_until = -math.inf  # the clock begins at 0 when the machine starts

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._scoreboard = scoreboard_of_this_tier()
        self._connections: set[Connection] = set()
        self._max_connections = self.cfg.worker_connections
        self._pipelined: deque[Connection] = deque()  # whose next request has come with the last
        self._answered: deque[Connection] = deque()
        self._wake_sent = False
        self._accepting = False
        self._sweep_at = 0.0
        self._pre_request, self._post_request = self.hook("pre_request"), self.hook("post_request")
        self._timeouts_s = {
            State.IDLE: self.cfg.keepalive,
            State.READING: REQUEST_TIMEOUT_S,
            State.WRITING: RESPONSE_TIMEOUT_S,
            State.LINGERING: LINGER_TIMEOUT_S,
        }

    def run(self) -> None:
        """Serve until told to stop, then finish what has begun. An orphan ends whatever its threads still wait for."""
        self._publish_connections()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.PIPE[0], selectors.EVENT_READ, self._on_wake)
        while self.alive:
            self._set_accepting(len(self._connections) < self._max_connections)
            self._turn()
        self._stop()
        if self.is_orphan():
            os._exit(0)

    # The loop.

    def _turn(self) -> None:
        """Serve all that has come: connections, requests, answers. Wait for it, but not beyond the next sweep."""
        for key, _ in self._selector.select(0 if self._pipelined else SWEEP_INTERVAL_S):
            key.data()
        for _ in range(len(self._pipelined)):  # one each, so that one client does not keep the others waiting
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
        for connection in list(self._connections):
            if connection.deadline is not None and connection.deadline <= now:
                self._guard(self._on_timeout, connection)
        slow = sorted((each for each in self._connections if each.outbox), key=lambda each: -each.since)
        while sum(len(connection.outbox) for connection in slow) > MAX_UNSENT_BYTES:
            self._close(slow.pop())  # it has taken nothing for the longest time

    def _stop(self) -> None:
        """Take no more connections; end those there are, within the grace that the settings give."""
        self.alive = False
        self._scoreboard.clear(self.age)  # no neighbour is to leave connections to this one
        self._set_accepting(False)
        for listener in self.sockets:
            listener.close()  # a successor of a killed master needs the port at once
        for connection in self._connections:
            if connection.state is State.IDLE:
                self._enter(connection, State.IDLE)  # with little time left
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while self._connections and time.monotonic() < deadline:
            self._turn()
        for connection in list(self._connections):
            self._close(connection)

    def _on_wake(self) -> None:
        """A thread has an answer, or a signal has come."""
        with suppress(BlockingIOError):
            os.read(self.PIPE[0], 4096)
        self._wake_sent = False  # first: whoever comes from now on tells again
        while self._answered:
            self._guard(self._respond, self._answered.popleft())

    def _guard(self, step: Callable[[Connection], None], connection: Connection) -> None:
        """Do this for a connection, unless it was closed meanwhile. Its trouble must not be the others'."""
        if connection.state is State.CLOSED:
            return
        try:
            step(connection)
        except OSError:
            self._close(connection)  # the client has gone
        except Exception:
            self.log.exception("a connection failed")
            self._close(connection)

    def _enter(self, connection: Connection, state: State, timeout_s: float | None = None) -> None:
        if timeout_s is None:
            is_last = state is State.IDLE and not self.alive
            timeout_s = LAST_REQUEST_TIMEOUT_S if is_last else self._timeouts_s.get(state)
        connection.enter(state, timeout_s)
        self._watch(connection, _EVENTS[state])

    def _watch(self, connection: Connection, events: int) -> None:
        """Have the loop wait for these events, of this connection, from now on."""
        if events == connection.watched:
            return
        if not events:
            self._selector.unregister(connection.sock)
        else:
            watch = self._selector.modify if connection.watched else self._selector.register
            watch(connection.sock, events, partial(self._guard, self._on_event, connection))
        connection.watched = events

    # The begin and the end of a connection.

    def _set_accepting(self, accepting: bool) -> None:
        if accepting == self._accepting:
            return
        self._accepting = accepting
        for listener in self.sockets:
            if accepting:
                self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener))
            else:
                self._selector.unregister(listener)

    def _accept(self, listener: socket.socket) -> None:
        """Take a new connection, unless it is for another worker."""
        if self._backs_off():
            return
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # a neighbour was faster, or it has gone again
        except OSError as error:
            self._on_shortage(error)
            return
        sock.setblocking(False)
        environ = connection_environ(client, listener.getsockname(), multiprocess=self.cfg.workers > 1)
        connection = Connection(sock, environ["REMOTE_ADDR"], RequestReader(environ))
        self._connections.add(connection)
        self._publish_connections()
        self._guard(lambda connection: self._enter(connection, State.IDLE, REQUEST_TIMEOUT_S), connection)

    def _backs_off(self) -> bool:
        """Whether a new connection is still left to a worker with fewer. The loop asks again at once."""
        if not self._scoreboard.has_fewer_than(len(self._connections)):
            return False
        now = time.monotonic()
        if now > self._backs_off_until + ACCEPT_BACKOFF_S:  # that was for another connection
            self._backs_off_until = now + ACCEPT_BACKOFF_S
        return now < self._backs_off_until

    def _on_shortage(self, error: OSError) -> None:
        connections = len(self._connections)
        if error.errno != errno.EMFILE or connections < 2:
            # The client's network, or a shortage of the machine or of this worker's threads: it passes.
            self.log.error("a connection was not taken: %s", error)
            time.sleep(SHORTAGE_PAUSE_S)
            return
        # No file descriptor is left. This worker can have no more connections, and rather fewer: its threads need
        # files too, for databases and the tiers behind.
        self._max_connections = max(connections - SPARE_FILES, connections // 2)
        self.log.error("no more than %d connections from now on: %s", self._max_connections, error)

    def _publish_connections(self) -> None:
        if self.alive:
            self._scoreboard.set(self.age, len(self._connections))

    def _evict_idle(self, now: float) -> None:
        """Make room for one more connection, by closing those whose clients have let us wait for the longest time.

        Else a client with enough of them, and nothing to say, would keep all others out. One that has a request in our
        hands is never closed.
        """
        waiting = [
            connection
            for connection in self._connections
            if connection.deadline is not None and connection.since < now - EVICTION_GRACE_S
        ]
        too_many = len(self._connections) - self._max_connections + 1
        for connection in heapq.nsmallest(too_many, waiting, key=lambda connection: connection.eviction_key):
            self._close(connection)

    def _on_timeout(self, connection: Connection) -> None:
        """Its client has let us wait for too long."""
        if connection.state is State.READING:
            what = "body" if connection.reader.awaits_body else "request"
            self._refuse(connection, BadRequest(408, f"the {what} did not come in time"))
        else:
            self._close(connection)

    def _linger(self, connection: Connection) -> None:
        """End our side. To close the other before the client has read our last words could take them from it."""
        connection.sock.shutdown(socket.SHUT_WR)
        self._enter(connection, State.LINGERING)
        if connection.has_ended:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        if connection.state is State.CLOSED:
            return
        self._enter(connection, State.CLOSED)
        connection.cycle = None
        self._connections.discard(connection)
        self._publish_connections()
        connection.sock.close()

    # The way of a request: it comes, the app is called, the answer comes, the response leaves.

    def _on_event(self, connection: Connection) -> None:
        if not connection.watched:
            return  # what came before, in the same round, has changed our mind
        if connection.state is State.WRITING:
            self._send(connection)
        elif connection.state is State.ANSWERING:
            self._watch(connection, 0)  # the next request, or the end, can wait
        elif connection.receive():
            if connection.state is not State.LINGERING:
                self._read_request(connection)
            elif connection.has_ended:
                self._close(connection)

    def _read_request(self, connection: Connection) -> None:
        reader = connection.reader
        try:
            request = reader.next_request()
        except BadRequest as error:
            self._refuse(connection, error)
            return
        if request is not None:
            self._call_app(connection, request)
        elif connection.has_ended:
            if reader.awaits_body:
                self._refuse(connection, BadRequest(400, BODY_TOO_SHORT))
            else:
                self._close(connection)
        else:
            self._await_rest(connection)

    def _await_rest(self, connection: Connection) -> None:
        """Of a request that has begun, if it has. The client has its time from the first byte on, not from the last."""
        state = State.IDLE if connection.reader.is_empty else State.READING
        if connection.state is not state:
            self._enter(connection, state)
        self._watch(connection, selectors.EVENT_READ)
        if connection.reader.take_go_ahead():
            connection.outbox += CONTINUE
            connection.transmit()

    def _refuse(self, connection: Connection, error: BadRequest) -> None:
        """Answer a request that is none, and end the connection: nobody knows where the next one would begin."""
        self.log.warning("a request from %s was refused: %s", connection.client, error)
        connection.outbox += encode_error(error.status, error.message, omit_body=connection.reader.is_head_request)
        connection.closes = True
        self._send(connection)

    def _call_app(self, connection: Connection, request: Request) -> None:
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
        """In another thread: an answer is there. The loop is told once for all that come before it looks."""
        self._answered.append(connection)
        if not self._wake_sent:
            self._wake_sent = True
            with suppress(BlockingIOError):  # then there is enough in it to wake the loop
                os.write(self.PIPE[1], b"\0")

    def _respond(self, connection: Connection) -> None:
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
        self.log.access(response, request, request.environ, timedelta(seconds=time.monotonic() - connection.since))
        if self._post_request is not None:
            self._post_request(self, request, request.environ, response)
        connection.cycle = None
        connection.outbox += data
        connection.closes = not keep_alive
        self._send(connection)

    def _fail(self, connection: Connection, error: Exception) -> None:
        """The app failed, before a byte of its response has left."""
        assert connection.cycle is not None
        request = connection.cycle.request
        uri = f"{request.environ['REQUEST_METHOD']} {request.environ['RAW_URI']}"
        self.log.error("Error handling request %s", uri, exc_info=error)
        connection.cycle = None
        connection.outbox += encode_error(500, "internal server error", omit_body=request.is_head)
        connection.closes = True
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        """As much as the client takes; then the next request, or the end."""
        if not connection.transmit():
            self._enter(connection, State.WRITING)
        elif connection.closes:
            self._linger(connection)
        elif connection.reader.is_empty:
            self._enter(connection, State.IDLE)
        else:
            self._enter(connection, State.READING)
            self._watch(connection, 0)
            self._pipelined.append(connection)
