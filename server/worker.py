"""gunicorn's threaded worker, with the waiting turned round: connections wait for answers, and threads do not.

gthread gives each request to a thread, which then waits for the client, for company in a batch, for the tier behind.
With 32 shoppers most of a front end's time went into switching between such threads. Here one thread reads, parses,
calls the app and writes, for all connections. An answer that must be waited for is a future (wsgi_apps/reply.py), kept
by a thread that works for many; its connection costs nothing meanwhile. Nor does one whose client dawdles.
"""

import errno
import heapq
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import PollableMethodQueue, ThreadWorker

from server.connection import Connection, Exchange
from server.crowd import crowd_of_this_tier
from server.json_errors import write_json_error
from wsgi_apps.reply import Awaited

# For a whole request, from its first byte.
REQUEST_TIMEOUT_S = 5.0
# In which a client takes nothing of its response.
RESPONSE_TIMEOUT_S = 10.0
# Between the end of our side of a connection and the client's, in which it can read our last words.
PARTING_TIMEOUT_S = 2.0
# The master looks as often.
NOTIFY_EVERY_S = 1.0
# For which a new connection is left to a worker that has fewer, which may be busy.
OFFER_S = 0.001
# For which a stopping worker still takes a request on a kept connection.
LAST_REQUEST_TIMEOUT_S = 0.5
# File descriptors that a worker which has run out of them keeps free: its threads need some, too.
SPARE_FILES = 16
# After a connection that could not be taken; the listener calls again at once.
SHORTAGE_PAUSE_S = 0.01
# For which a client that has just come, or has just been answered, may keep its connection whoever else wants to come.
SPARED_S = 0.1
# How often the clients are looked at whose time may be over.
LOOK_EVERY_S = 0.1


class _LastingQueue(PollableMethodQueue):
    """By which threads wake the loop up. It stays open when the loop has ended.

    A thread that is late would otherwise write its wake-up byte into whatever file had got the number of the pipe.
    """

    def close(self) -> None:
        pass


class StoreWorker(ThreadWorker):
    """Serves any WSGI app over plain HTTP/1; a response is gathered whole before it leaves.

    An app that waits keeps all its clients waiting, unless it answers with an `Awaited`.
    """

    alive: bool
    SIGNALS: list[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.method_queue = _LastingQueue()
        self._connections: set[Connection] = set()
        self._answered: deque[Connection] = deque()
        self._wake_sent = False
        self._notify_at = self._look_at = 0.0
        self._crowd = crowd_of_this_tier()
        self._offer_ends = 0.0
        # gunicorn's settings look themselves up at each use.
        self._pre_request, self._post_request = self.cfg.pre_request, self.cfg.post_request
        self._keepalive_s = self.cfg.keepalive

    # What gthread's frame calls: its loop, its end.

    def notify(self) -> None:
        """Tell the master that this worker lives. It looks every second; gthread tells it at each turn of the loop."""
        now = time.monotonic()
        if now >= self._notify_at:
            self._notify_at = now + NOTIFY_EVERY_S
            super().notify()

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, unless it is for another worker."""
        if self._offers():
            return
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # a neighbour was faster, or it has gone again
        except OSError as error:
            if error.errno != errno.EMFILE:
                # The client's network, or a shortage of the whole machine: it passes.
                self.log.error("a connection was not taken: %s", error)
                time.sleep(SHORTAGE_PAUSE_S)
                return
            # No file descriptor is left. This worker can have no more connections, and rather fewer: its threads
            # need files too, for databases and the tiers behind.
            self.worker_connections = max(1, self.nr_conns - SPARE_FILES, self.nr_conns // 2)
            self.log.error("no more than %d connections from now on: %s", self.worker_connections, error)
            return
        sock.setblocking(False)
        connection = Connection(sock, client, listener.getsockname(), self.cfg)
        self._connections.add(connection)
        self._count(+1)
        self._guard(self._await_first_request, connection)

    def _offers(self) -> bool:
        """Whether a new connection is still left to a worker with fewer. The loop asks again at once."""
        if not self._crowd.has_fewer_than(self.nr_conns):
            return False
        now = time.monotonic()
        if now > self._offer_ends + OFFER_S:  # that was the offer of another connection
            self._offer_ends = now + OFFER_S
        return now < self._offer_ends

    def _count(self, change: int) -> None:
        self.nr_conns += change
        self._crowd.tell(self.age, self.nr_conns)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Connections, requests, answers: whatever has come."""
        if self.nr_conns >= self.worker_connections:
            timeout = min(timeout, SPARED_S)  # by then one of them may make room
        for key, _ in self.poller.select(timeout):
            key.data(key.fileobj)
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def _make_room(self) -> None:
        """For one more connection, by closing those whose clients have let us wait for the longest time.

        Else a client with enough of them, and nothing to say, would keep all others out. One that has a request in our
        hands is never closed.
        """
        came_before = time.monotonic() - SPARED_S
        waiting = [connection for connection in self._connections if connection.has_let_us_wait(came_before)]
        too_many = self.nr_conns - self.worker_connections + 1
        for connection in heapq.nsmallest(too_many, waiting, key=lambda connection: connection.expendability):
            self._close(connection)

    def murder_keepalived(self, force: bool = False) -> None:
        """Give up the clients whose time is over; all if forced."""
        now = time.monotonic()
        if now < self._look_at and not force:
            return  # gthread calls at each turn of the loop, and there may be a thousand of them
        self._look_at = now + LOOK_EVERY_S
        for connection in list(self._connections):
            if force:
                self._close(connection)
            elif connection.deadline is not None and connection.deadline <= now:
                self._guard(self._give_up, connection)

    def _cap_keepalive(self, _deadline: float) -> None:
        """This worker is to stop: the idle connections have little time left."""
        for connection in self._connections:
            if connection.is_idle and not connection.outbox and not connection.parting:
                connection.wait(LAST_REQUEST_TIMEOUT_S)

    def init_signals(self) -> None:
        """As gthread's, but a SIGHUP that the master ignores is ignored."""
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            self.SIGNALS = [number for number in self.SIGNALS if number != signal.SIGHUP]
        super().init_signals()

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

    def leave(self) -> None:
        """In the master: this worker has ended, by itself or by force."""
        self._crowd.leave(self.age)

    def run(self) -> None:
        """Serve until told to stop. An orphan then ends at once, whatever its threads still wait for."""
        self._count(0)
        super().run()
        if self.ppid != os.getppid():
            os._exit(0)

    # The way of a request: it comes, the app is called, the answer comes, the response leaves.

    def _await_first_request(self, connection: Connection) -> None:
        connection.wait(REQUEST_TIMEOUT_S)
        self._watch(connection, selectors.EVENT_READ)

    def _await_request(self, connection: Connection) -> None:
        connection.wait(self._keepalive_s if self.alive else LAST_REQUEST_TIMEOUT_S)
        self._watch(connection, selectors.EVENT_READ)

    def _on_event(self, connection: Connection) -> None:
        if not connection.watched:
            return  # what came before, in the same round, has changed our mind
        if connection.outbox:
            self._send(connection)
        elif connection.awaits_answer:
            self._watch(connection, 0)  # the next request, or the end, can wait
        elif connection.receive():
            self._advance(connection)

    def _advance(self, connection: Connection) -> None:
        """As far as what has come allows, but never beyond a request that is not answered yet."""
        if connection.awaits_answer or connection.outbox:
            return
        if connection.parting:
            if connection.ended:
                self._close(connection)
        elif connection.exchange is None and not connection.take_head():
            self._await_rest(connection)
        elif connection.exchange is not None or self._parse(connection):
            connection.take_body()
            if connection.body_may_come:
                self._await_rest(connection)
            else:
                self._call_app(connection)

    def _await_rest(self, connection: Connection) -> None:
        """Of a request that has begun, if it has."""
        if connection.ended:
            self._close(connection)
            return
        if connection.arrived or connection.exchange is not None:
            if connection.is_idle:
                connection.is_idle = False
                connection.wait(REQUEST_TIMEOUT_S)
        elif connection.deadline is None:
            self._await_request(connection)
        self._watch(connection, selectors.EVENT_READ)
        if connection.outbox:  # "100 Continue"
            self._send(connection)

    def _parse(self, connection: Connection) -> bool:
        """Whether this was a request. If not, the client has been told."""
        request = None
        try:
            request = next(connection.parser)
            self._pre_request(self, request)
            response, environ = wsgi.create(request, connection, connection.client, connection.server, self.cfg)
        except NoMoreData:
            write_json_error(connection, 431, "Request Header Fields Too Large", "the head of the request is too long")
        except Exception as error:
            self.handle_error(request, connection, connection.client, error)
        else:
            environ["wsgi.multithread"] = True  # some endpoints run in a pool
            connection.exchange = Exchange(request, response, environ, datetime.now())
            return True
        connection.closing = True
        self._send(connection)
        return False

    def _call_app(self, connection: Connection) -> None:
        exchange = connection.exchange
        assert exchange is not None
        connection.is_idle = False
        connection.deadline = None
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not connection.body_is_whole:
            exchange.response.force_close()
        try:
            exchange.answer = self.wsgi(exchange.environ, exchange.response.start_response)
        except Exception as error:
            self._fail(connection, error)
        else:
            if isinstance(exchange.answer, Awaited):
                exchange.answer.coming.add_done_callback(lambda _coming: self._on_answer(connection))
            else:
                self._respond(connection)

    def _on_answer(self, connection: Connection) -> None:
        """In another thread: an answer is there. The loop is told once for all that come before it looks."""
        self._answered.append(connection)
        if not self._wake_sent:
            self._wake_sent = True
            self.method_queue.defer(self._respond_to_all)

    def _respond_to_all(self) -> None:
        self._wake_sent = False  # first: whoever comes from now on tells again
        while self._answered:
            self._guard(self._respond, self._answered.popleft())

    def _respond(self, connection: Connection) -> None:
        exchange = connection.exchange
        assert exchange is not None
        if not self.alive:
            exchange.response.force_close()
        try:
            try:
                for part in exchange.answer:
                    exchange.response.write(part)
                exchange.response.close()
            finally:
                if hasattr(exchange.answer, "close"):
                    exchange.answer.close()
        except Exception as error:
            self._fail(connection, error)
            return
        self.log.access(exchange.response, exchange.request, exchange.environ, datetime.now() - exchange.started)
        self._post_request(self, exchange.request, exchange.environ, exchange.response)
        connection.closing = exchange.response.should_close() or not connection.parser.finish_body()
        connection.end_exchange()
        self._send(connection)

    def _fail(self, connection: Connection, error: Exception) -> None:
        """The app failed, before a byte of its response has left."""
        assert connection.exchange is not None
        connection.outbox.clear()
        self.handle_error(connection.exchange.request, connection, connection.client, error)
        connection.closing = True
        connection.end_exchange()
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        """As much as the client takes; then the next request, or the end."""
        if not connection.transmit():
            if connection.exchange is None:
                connection.wait(RESPONSE_TIMEOUT_S)
            self._watch(connection, selectors.EVENT_WRITE)
        elif connection.closing:
            self._part(connection)
        elif connection.exchange is not None:
            self._watch(connection, selectors.EVENT_READ)  # for the body
        elif connection.arrived:
            # It came with the last. By way of the loop, so that one client does not keep the others waiting.
            self._watch(connection, 0)
            self.method_queue.defer(self._guard, self._advance, connection)
        else:
            self._await_request(connection)

    # The end of a connection.

    def _give_up(self, connection: Connection) -> None:
        """Its client has let us wait for too long."""
        if connection.outbox or connection.parting:
            self._close(connection)  # it takes nothing, or does not end its side
        elif connection.exchange is not None:
            connection.inbox.late = True
            self._call_app(connection)  # which says what it thinks of half a body
        elif connection.arrived:
            write_json_error(connection, 408, "Request Timeout", "the request did not come in time")
            connection.closing = True
            self._send(connection)
        else:
            self._close(connection)

    def _part(self, connection: Connection) -> None:
        """End our side. To close the other before the client has read our last words could take them from it."""
        connection.parting = True
        connection.wait(PARTING_TIMEOUT_S)
        connection.sock.shutdown(socket.SHUT_WR)
        self._watch(connection, selectors.EVENT_READ)
        if connection.ended:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        if connection.closed:
            return
        connection.closed = True
        self._watch(connection, 0)
        self._connections.discard(connection)
        self._count(-1)
        connection.sock.close()

    def _guard(self, step: Callable[[Connection], None], connection: Connection) -> None:
        """Do this for a connection, unless it was closed meanwhile. Its trouble must not be the others'."""
        if connection.closed:
            return
        try:
            step(connection)
        except OSError:
            self._close(connection)  # the client has gone
        except Exception:
            self.log.exception("a connection failed")
            self._close(connection)

    def _watch(self, connection: Connection, events: int) -> None:
        """Have the loop wait for these events, of this connection, from now on."""
        if events == connection.watched:
            return
        if not events:
            self.poller.unregister(connection.sock)
        elif not connection.watched:
            self.poller.register(connection.sock, events, lambda _sock: self._guard(self._on_event, connection))
        else:
            self.poller.modify(connection.sock, events, lambda _sock: self._guard(self._on_event, connection))
        connection.watched = events
