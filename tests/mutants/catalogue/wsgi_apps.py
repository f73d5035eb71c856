"""Seeded bugs in the tiers and the calls between them."""

from tests.mutants.catalogue.mutant import Mutant

MUTANTS = (
    Mutant(
        "a batch loses the caller behind it",
        "whoever does not fit into a batch waits for ever",
        "wsgi_apps/batcher.py",
        "            batch.append(self._queue.popleft())\n"
        "            size += len(batch[-1].questions)\n"
        "        self._queued -= size\n",
        "            batch.append(self._queue.popleft())\n"
        "            size += len(batch[-1].questions)\n"
        "        self._queue.clear()\n"
        "        self._queued = 0\n",
    ),
    Mutant(
        "a batch answers the wrong callers",
        "I5: shoppers get each other's numbers",
        "wsgi_apps/batcher.py",
        "            for caller in batch:\n                caller.answers.set_result(",
        "            for caller in reversed(batch):\n                caller.answers.set_result(",
    ),
    Mutant(
        "the error of one is the error of all",
        "one poisonous question fails its whole batch",
        "wsgi_apps/batcher.py",
        "            if len(batch) == 1:\n                first_due.fail(error)\n",
        "            if batch:\n                for caller in batch:\n                    caller.fail(error)\n",
    ),
    Mutant(
        "the recovery never comes to an end",
        "I6: buys in doubt stay",
        "wsgi_apps/recovery.py",
        "now - self._doubts[buy.key].first_seen >= OVERDUE_S",
        "now - self._doubts[buy.key].first_seen < 0",
    ),
    Mutant(
        "a call is repeated under a new key",
        "I3: a reply that was lost is a second buy",
        "wsgi_apps/tier_client.py",
        "            answer = self.ask_once(method, path, headers, body, timeout_s",
        "            if body and retry_number:\n"
        "                body = body.replace(b'[[\"', b'[[\"x')\n"
        "            answer = self.ask_once(method, path, headers, body, timeout_s",
    ),
    Mutant(
        "a 5xx of the tier behind is an answer",
        "I5: a passing trouble becomes an error that shoppers see",
        "wsgi_apps/tier_client.py",
        "return self.status < 500 and",
        "return self.status < 600 and",
    ),
    Mutant(
        "a no to the whole batch is a no to each buy",
        "I1, I5: a misread call refuses what it may have sold",
        "wsgi_apps/clients.py",
        "    except StoreError as error:\n        raise Unavailable from error\n    answers",
        "    except StoreError as error:\n        values = [[answer[0], error.message, None]] * count\n    answers",
    ),
    Mutant(
        "the order tier waits longer than the front end",
        "deadlines no longer shrink inward: the front end gives up first, and asks for what is still under way",
        "wsgi_apps/order.py",
        "DEADLINE_S = 2.0",
        "DEADLINE_S = 7.0",
    ),
    Mutant(
        "a row of a call may have more cells than it needs",
        "a wish that the tier does not know is left out in silence",
        "wsgi_apps/wire.py",
        "len(row) != 3",
        "len(row) < 3",
    ),
    Mutant(
        "an order number of the refused is taken for an order",
        "I5: who was refused hears of an order of the number -1",
        "wsgi_apps/wire.py",
        "    if type(value) is int and value >= 0:\n        return value",
        "    if type(value) is int:\n        return value",
    ),
    Mutant(
        "a call of another version is a decrement",
        "an upgrade in the wrong order is told of as a bad quantity",
        "wsgi_apps/catalog.py",
        'Rule(f"/v<int:version>/{call}"',
        'Rule(f"/w<int:version>/{call}"',
    ),
    Mutant(
        "a call that a tier does not know is asked for in halves",
        "an upgrade in the wrong order costs eleven calls for each, and the log does not say why",
        "wsgi_apps/tier_client.py",
        "answer.status == 404 and _message(answer) == _UNKNOWN",
        "answer.status == 410 and _message(answer) == _UNKNOWN",
    ),
    Mutant(
        "what comes behind a reply is left for the next one",
        "I5: a buy has the answer to another",
        "wsgi_apps/tier_connection.py",
        "        elif self._poll.poll(0):",
        "        elif False:",
    ),
    Mutant(
        "a reply may be longer than it says",
        "I5: the reply that stands behind it is lost, or the next one's",
        "wsgi_apps/tier_connection.py",
        "        if len(data) > end + length:",
        "        if False:",
    ),
    Mutant(
        "a chunked reply is read by its length",
        "I1: whatever a proxy makes of a reply is the end of a buy",
        "wsgi_apps/tier_connection.py",
        '    if "transfer-encoding" in headers:',
        "    if False:",
    ),
    Mutant(
        "of two lengths the last counts",
        "I1: a reply is cut where nobody meant it to end",
        "wsgi_apps/tier_connection.py",
        'f"{headers[name]}, {value}" if name in headers else value',
        "value",
    ),
    Mutant(
        "each byte of a reply starts the deadline anew",
        "a tier that trickles holds its callers up for as long as it likes",
        "wsgi_apps/tier_connection.py",
        "    sock.settimeout(_remaining_s(deadline))\n    data",
        "    data",
    ),
    Mutant(
        "a header may end its line",
        "a key is a request of its own to a tier behind",
        "wsgi_apps/tier_client.py",
        "        if any(map(_CONTROL_CHARACTER.search, lines)):",
        "        if False:",
    ),
    Mutant(
        "head and body go in two pieces",
        "each call wakes the tier behind up twice",
        "wsgi_apps/tier_connection.py",
        "        self.sock.sendall(request)",
        '        head, end, body = request.partition(b"\\r\\n\\r\\n")\n'
        "        self.sock.sendall(head + end)\n"
        "        self.sock.sendall(body)",
    ),
    Mutant(
        "an order's price from the wire is cut, not rounded",
        "an order of 19.99 is shown at 19.98",
        "wsgi_apps/wire.py",
        "price_cents = round(",
        "price_cents = int(",
    ),
    Mutant(
        "a connection goes back to the pool before its reply is read",
        "two calls write to one connection, and one reads what was meant for the other",
        "wsgi_apps/tier_client.py",
        "            reply = connection.exchange(",
        "            self._idle.append(connection)\n            reply = connection.exchange(",
    ),
    Mutant(
        "after a dead connection the others of its age are kept",
        "a tier that was restarted costs a try for each of them",
        "wsgi_apps/tier_client.py",
        "            self.close()  # the other kept connections",
        "            pass  # the other kept connections",
    ),
    Mutant(
        "more answers than questions are taken",
        "I5: whose answer is whose is a guess",
        "wsgi_apps/clients.py",
        "len(values) != count",
        "len(values) < count",
    ),
    Mutant(
        "sales queue behind direct decrements",
        "who takes pieces at the catalog holds up who buys",
        "wsgi_apps/catalog.py",
        "run_in_pool(self.sell, sales)",
        "run_in_pool(self.sell, decrements)",
    ),
    Mutant(
        "a call waits for more than it can carry",
        "a full line lingers, and each of it waits longer",
        "wsgi_apps/batcher.py",
        "self._expected = min(self._max_batch_size, ",
        "self._expected = max(1, ",
    ),
    Mutant(
        "a tier is asked again before it wishes",
        "an overloaded tier is asked all the more",
        "wsgi_apps/tier_client.py",
        "            pause_s = max(pause_s, answer.retry_after_s)\n",
        "            pass\n",
    ),
    Mutant(
        "a page is asked for again and again",
        "an overloaded tier is asked all the more",
        "wsgi_apps/clients.py",
        "decode=_decode_page, retry=False",
        "decode=_decode_page",
    ),
    Mutant(
        "a retry takes no token",
        "the retries of many callers keep a tier in trouble",
        "wsgi_apps/retries.py",
        "            self._bucket.take()\n",
        "",
    ),
    Mutant(
        "what failed is sent first again",
        "I6: a buy for which the catalog asks to wait keeps the others of its batch in doubt",
        "wsgi_apps/recovery.py",
        "                    self._doubts[buy.key].tries += 1\n",
        "                    pass\n",
    ),
    Mutant(
        "a tier without its disk is ready",
        "shoppers are sent to a tier that cannot sell",
        "wsgi_apps/ready.py",
        "            return error.message\n",
        "            return None\n",
    ),
)
