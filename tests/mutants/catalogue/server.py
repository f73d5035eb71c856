"""Seeded bugs in the server."""

from tests.mutants.catalogue.mutant import Mutant

MUTANTS = (
    Mutant(
        "all front-end workers on one core",
        "half of the machine idles",
        "server/cores.py",
        "return taken.count(core), newest, core",
        "return 0, 0, core",
    ),
    Mutant(
        "an orphan does not close its listener",
        "the successor of a killed tier cannot bind while the orphan has a request in its hands",
        "server/worker.py",
        "            listener.close()  # a successor",
        "            pass  # a successor",
    ),
    Mutant(
        "a worker that has ended keeps its slot",
        "every new connection is held back for a worker that is no more",
        "server/scoreboard.py",
        "self._slots[worker % SLOTS] = 0",
        "self._slots[worker % SLOTS] += 0",
    ),
    Mutant(
        "workers that have equally many leave connections to each other",
        "every new connection waits a millisecond for nobody",
        "server/scoreboard.py",
        "0 < slot <= connections ",
        "0 < slot <= connections + 1 ",
    ),
    Mutant(
        "a connection is left to others for ever",
        "where the worker with fewer is stuck, nobody is served",
        "server/scoreboard.py",
        "if now > self._until + ACCEPT_BACKOFF_S:",
        "if now > self._until:",
    ),
    Mutant(
        "the loop turns away before it can be woken again",
        "an answer that comes at the wrong moment waits for the next one",
        "server/worker.py",
        "        self._wake_sent = False  # before the queue is read: a later answer must wake the event loop again\n"
        "        while self._answered:\n            self._guard(self._respond, self._answered.popleft())\n",
        "        while self._answered:\n            self._guard(self._respond, self._answered.popleft())\n"
        "        self._wake_sent = False\n",
    ),
    Mutant(
        "the master hears of a worker once a minute",
        "it takes each for dead and kills it, with the requests in its hands",
        "server/worker.py",
        "SWEEP_INTERVAL_S = 0.1",
        "SWEEP_INTERVAL_S = 60.0",
    ),
    Mutant(
        "what comes behind the end of our side is kept",
        "a client that was told to go, and goes on sending, fills the memory",
        "server/connection.py",
        "if self.state is not State.LINGERING:",
        "if True:",
    ),
    Mutant(
        "the search for the next head begins where the last one ended",
        "the end of a head is missed, and every later answer of the connection belongs to the request before",
        "server/reader.py",
        "        self._searched = 0\n        return size",
        "        return size",
    ),
    Mutant(
        "the search for the end of a head goes on too far",
        "a head that was cut within its last line end is never answered",
        "server/reader.py",
        "max(0, size - len(_END_OF_HEAD) + 1)",
        "size",
    ),
    Mutant(
        "a body begins where the buffer does, and ends with it",
        "a request behind a body is taken for a part of it",
        "server/reader.py",
        "bytes(self._buffer[:length])",
        "bytes(self._buffer)",
    ),
    Mutant(
        "the first option of Connection counts",
        "a client that asks for the end of the connection among other things waits for it",
        "server/request.py",
        'connection.lower().split(",")',
        'connection.lower().split(",")[:1]',
    ),
    Mutant(
        "the last of two equal headers counts",
        "a proxy and the store disagree about the host, or about where a body ends",
        "server/request.py",
        "elif key in _SINGLETONS:",
        "elif key in ():",
    ),
    Mutant(
        "a header's underscore passes for a hyphen",
        "Content_Length, which a proxy lets through, moves the end of a body",
        "server/request.py",
        'if "_" in name:',
        'if "" in ():',
    ),
    Mutant(
        "an app's body may be shorter than it says",
        "the client takes the next response for a part of this one",
        "server/response.py",
        "if length != str(len(body)):",
        "if False:",
    ),
    Mutant(
        "a line end in a header leaves",
        "who chooses a header's value adds headers, or a whole response",
        "server/response.py",
        'if not text.count("\\r") == text.count("\\n") == len(lines) or "\\0" in text:',
        "if False:",
    ),
    Mutant(
        "a stopping worker keeps its connections",
        "a client sends its next request to a tier that is gone",
        "server/worker.py",
        "keep_alive = request.keep_alive and self.alive and",
        "keep_alive = request.keep_alive and",
    ),
    Mutant(
        "a connection keeps its last answer",
        "a thousand idle clients that have had a page keep 300 MB of a worker",
        "server/worker.py",
        "        connection.cycle = None\n        connection.outbox += data\n",
        "        connection.outbox += data\n",
    ),
)
