"""Seeded bugs in server/, the gunicorn worker."""

from tests.mutants.catalogue.mutant import Mutant

MUTANTS = (
    Mutant(
        "all front-end workers are pinned to one core",
        "half of the machine is idle",
        "server/cores.py",
        "return taken.count(core), newest, core",
        "return 0, 0, core",
    ),
    Mutant(
        "an orphan does not close its listener",
        "a restarted tier cannot bind its port while the orphan answers a request",
        "server/worker.py",
        "            listener.close()  # a successor",
        "            pass  # a successor",
    ),
    Mutant(
        "an ended worker keeps its slot of the scoreboard",
        "each new connection waits for a worker that does not exist",
        "server/scoreboard.py",
        "self._slots[worker % SLOTS] = 0",
        "self._slots[worker % SLOTS] += 0",
    ),
    Mutant(
        "workers with equally many connections back off for each other",
        "each new connection waits a millisecond in vain",
        "server/scoreboard.py",
        "0 < slot <= connections ",
        "0 < slot <= connections + 1 ",
    ),
    Mutant(
        "a worker backs off without end",
        "when the worker with fewer connections hangs, no connection is accepted",
        "server/scoreboard.py",
        "if now > self._until + ACCEPT_BACKOFF_S:",
        "if now > self._until:",
    ),
    Mutant(
        "the event loop clears its wake-up flag after the responses",
        "a response that is ready in between waits for the next wake-up",
        "server/worker.py",
        "        self._wake_sent = False  # before the queue is read: a later answer must wake the event loop again\n"
        "        while self._answered:\n            self._guard(self._respond, self._answered.popleft())\n",
        "        while self._answered:\n            self._guard(self._respond, self._answered.popleft())\n"
        "        self._wake_sent = False\n",
    ),
    Mutant(
        "a worker notifies the master once a minute",
        "the master kills the worker and its requests after its timeout",
        "server/worker.py",
        "SWEEP_INTERVAL_S = 0.1",
        "SWEEP_INTERVAL_S = 60.0",
    ),
    Mutant(
        "the lingering close keeps the data that it reads",
        "a client that sends on after its response fills the memory",
        "server/connection.py",
        "if self.state is not State.LINGERING:",
        "if True:",
    ),
    Mutant(
        "the search for the next head starts at the end of the last search",
        "the reader misses the end of a head, and each later response belongs to the request before",
        "server/reader.py",
        "        self._searched = 0\n        return size",
        "        return size",
    ),
    Mutant(
        "the search for the end of a head skips bytes",
        "a head that is split within its last line end is never answered",
        "server/reader.py",
        "max(0, size - len(_END_OF_HEAD) + 1)",
        "size",
    ),
    Mutant(
        "a body is the whole buffer",
        "a pipelined request is read as a part of the body before",
        "server/reader.py",
        "bytes(self._buffer[:length])",
        "bytes(self._buffer)",
    ),
    Mutant(
        "only the first option of Connection is read",
        "a client that sends close as a later option waits for the end of the connection",
        "server/request.py",
        'connection.lower().split(",")',
        'connection.lower().split(",")[:1]',
    ),
    Mutant(
        "the last of two equal headers is used",
        "a proxy and the store disagree about the host, or the length of a body",
        "server/request.py",
        "elif key in _SINGLETONS:",
        "elif key in ():",
    ),
    Mutant(
        "a header name may have an underscore",
        "Content_Length, which a proxy passes on, changes the length of a body",
        "server/request.py",
        'if "_" in name:',
        'if "" in ():',
    ),
    Mutant(
        "a response body may be shorter than its Content-Length",
        "the client reads the next response as a part of the body",
        "server/response.py",
        "if length != str(len(body)):",
        "if False:",
    ),
    Mutant(
        "a response header may have a line end",
        "a client that controls a value adds headers, or a whole response",
        "server/response.py",
        'if not text.count("\\r") == text.count("\\n") == len(lines) or "\\0" in text:',
        "if False:",
    ),
    Mutant(
        "a stopping worker keeps connections alive",
        "a client sends its next request to a stopped tier",
        "server/worker.py",
        "keep_alive = request.keep_alive and self.alive and",
        "keep_alive = request.keep_alive and",
    ),
    Mutant(
        "a connection keeps its last response",
        "a thousand idle clients hold 300 MB of pages in a worker",
        "server/worker.py",
        "        connection.cycle = None\n        connection.outbox += data\n",
        "        connection.outbox += data\n",
    ),
)
