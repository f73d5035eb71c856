"""Seeded bugs in wsgi_apps/: the tiers and the calls between them."""

from tests.mutants.catalogue.mutant import Mutant

MUTANTS = (
    Mutant(
        "a batch drops the callers behind it",
        "a caller that does not fit into a batch waits without end",
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
        "I5: shoppers get the order numbers of others",
        "wsgi_apps/batcher.py",
        "            for caller in batch:\n                caller.answers.set_result(",
        "            for caller in reversed(batch):\n                caller.answers.set_result(",
    ),
    Mutant(
        "an error of a batch fails each of its callers",
        "one question that cannot be answered fails the whole batch",
        "wsgi_apps/batcher.py",
        "            if len(batch) == 1:\n                first_due.fail(error)\n",
        "            if batch:\n                for caller in batch:\n                    caller.fail(error)\n",
    ),
    Mutant(
        "the recovery treats no buy as overdue",
        "I6: buys in doubt are never settled",
        "wsgi_apps/recovery.py",
        "now - self._doubts[one.key].first_seen >= OVERDUE_S",
        "now - self._doubts[one.key].first_seen < 0",
    ),
    Mutant(
        "a retry sends a new key",
        "I3: after a lost response the retry is a second buy",
        "wsgi_apps/tier_client.py",
        "            answer = self._ask_any(method, path, headers, body, deadline",
        "            if body and retry_number:\n"
        "                body = body.replace(b'[[\"', b'[[\"x')\n"
        "            answer = self._ask_any(method, path, headers, body, deadline",
    ),
    Mutant(
        "a call that goes on at another address sends a new key",
        "I3: after a lost response the other tier sells a second time",
        "wsgi_apps/tier_client.py",
        "            address.busy.append(None)\n",
        "            address.busy.append(None)\n"
        "            if body and len(tried) > 1:\n"
        "                body = body.replace(b'[[\"', b'[[\"x')\n",
    ),
    Mutant(
        "an address that does not answer is not left out",
        "each second call waits for a tier that is dead",
        "wsgi_apps/tier_client.py",
        "        if isinstance(answer, NoAnswer):\n            address.leave_out()\n",
        "        if isinstance(answer, NoAnswer):\n            pass\n",
    ),
    Mutant(
        "a shopper's call is the probe of an address that is left out",
        "a shopper waits for each try of a machine that is gone",
        "wsgi_apps/tier_addresses.py",
        "usable = [address for address in in_turn if not address.is_left_out and",
        "usable = [address for address in in_turn if (address.probe_at or 0) <= time.monotonic() and",
    ),
    Mutant(
        "a call looks up the names of a tier itself",
        "a DNS that does not answer holds up buys",
        "wsgi_apps/tier_addresses.py",
        '            self._run_in_background("lookup", self._look_up)',
        "            self._look_up()",
    ),
    Mutant(
        "a 5xx of the tier behind counts as an answer",
        "I5: shoppers see a temporary error",
        "wsgi_apps/tier_client.py",
        "return self.status < 500 and",
        "return self.status < 600 and",
    ),
    Mutant(
        "an error of a whole batch refuses each of its buys",
        "I1, I5: a buy that may be sold is logged as refused",
        "wsgi_apps/clients.py",
        "    except StoreError as error:\n        raise Unavailable from error\n    answers",
        "    except StoreError as error:\n        values = [[answer[0], error.message, None]] * count\n    answers",
    ),
    Mutant(
        "the order tier waits longer than the front end",
        "deadlines no longer shrink inward: the front end times out first, and retries a buy under way",
        "wsgi_apps/order.py",
        "DEADLINE_S = 2.0",
        "DEADLINE_S = 7.0",
    ),
    Mutant(
        "a row of a call may have more cells than are read",
        "a tier silently ignores an option that it does not know",
        "wsgi_apps/wire.py",
        "len(row) != 3",
        "len(row) < 3",
    ),
    Mutant(
        "the order number -1 is accepted on the wire",
        "I5: a refused shopper gets an order with the number -1",
        "wsgi_apps/wire.py",
        "    if type(value) is int and value >= 0:\n        return value",
        "    if type(value) is int:\n        return value",
    ),
    Mutant(
        "a call of another version is routed as a decrement",
        "an upgrade in the wrong order is reported as a wrong quantity",
        "wsgi_apps/catalog.py",
        'Rule(f"/v<int:version>/{call}"',
        'Rule(f"/w<int:version>/{call}"',
    ),
    Mutant(
        "a call that a tier does not know is split into halves",
        "an upgrade in the wrong order costs eleven calls a batch, and the log has no reason",
        "wsgi_apps/tier_client.py",
        "if _message(answer) == _UNKNOWN else None",
        "if False else None",
    ),
    Mutant(
        "data behind a response stays in the socket",
        "I5: a buy gets the answer to another",
        "wsgi_apps/tier_connection.py",
        "        elif self._poll.poll(0):",
        "        elif False:",
    ),
    Mutant(
        "a response may be longer than its Content-Length",
        "I5: a second response behind it is dropped unnoticed",
        "wsgi_apps/tier_connection.py",
        "        if len(data) > end + length:",
        "        if False:",
    ),
    Mutant(
        "Transfer-Encoding of a response is ignored",
        "I1: a response that a proxy has re-encoded is misread as the outcome of a buy",
        "wsgi_apps/tier_connection.py",
        '    if "transfer-encoding" in headers:',
        "    if False:",
    ),
    Mutant(
        "the last of two Content-Lengths is used",
        "I1: a response is cut short",
        "wsgi_apps/tier_connection.py",
        'f"{headers[name]}, {value}" if name in headers else value',
        "value",
    ),
    Mutant(
        "each read of a response restarts the deadline",
        "a tier that sends byte by byte blocks its callers without limit",
        "wsgi_apps/tier_connection.py",
        "    sock.settimeout(_remaining_s(deadline))\n    data",
        "    data",
    ),
    Mutant(
        "a request header may have a line end",
        "a key can smuggle a request to a tier behind",
        "wsgi_apps/tier_client.py",
        "        if any(map(_CONTROL_CHARACTER.search, lines)):",
        "        if False:",
    ),
    Mutant(
        "head and body are sent separately",
        "each call wakes the tier behind twice",
        "wsgi_apps/tier_connection.py",
        "        self.sock.sendall(request)",
        '        head, end, body = request.partition(b"\\r\\n\\r\\n")\n'
        "        self.sock.sendall(head + end)\n"
        "        self.sock.sendall(body)",
    ),
    Mutant(
        "a price from the wire is truncated, not rounded",
        "an order of 19.99 is shown at 19.98",
        "wsgi_apps/wire.py",
        "price_cents = round(",
        "price_cents = int(",
    ),
    Mutant(
        "a connection goes back to the pool before its reply is read",
        "two calls use one connection, and one reads the response of the other",
        "wsgi_apps/tier_client.py",
        "            reply = connection.exchange(",
        "            address.keep(connection)\n            reply = connection.exchange(",
    ),
    Mutant(
        "after a dead connection the other idle ones are kept",
        "a restarted tier costs a failed try for each of them",
        "wsgi_apps/tier_client.py",
        "            address.close()  # the other kept connections",
        "            pass  # the other kept connections",
    ),
    Mutant(
        "more answers than questions are accepted",
        "I5: answers may belong to other questions",
        "wsgi_apps/clients.py",
        "len(values) != count",
        "len(values) < count",
    ),
    Mutant(
        "sales queue behind direct decrements",
        "direct decrements at the catalog delay buys",
        "wsgi_apps/catalog.py",
        "run_in_pool(self.sell, sales)",
        "run_in_pool(self.sell, decrements)",
    ),
    Mutant(
        "a batch lingers for more than its maximum size",
        "a full queue lingers, and all its callers wait longer",
        "wsgi_apps/batcher.py",
        "self._expected = min(self._max_batch_size, ",
        "self._expected = max(1, ",
    ),
    Mutant(
        "a retry ignores Retry-After",
        "an overloaded tier gets more requests",
        "wsgi_apps/tier_client.py",
        "            pause_s = max(pause_s, answer.retry_after_s)\n",
        "            pass\n",
    ),
    Mutant(
        "the front end retries a page",
        "an overloaded tier gets more requests",
        "wsgi_apps/clients.py",
        "decode=_decode_page, retry=False",
        "decode=_decode_page",
    ),
    Mutant(
        "a retry takes no token",
        "the retries of many callers keep a tier overloaded",
        "wsgi_apps/retries.py",
        "            self._bucket.take()\n",
        "",
    ),
    Mutant(
        "the recovery does not sort failed buys last",
        "I6: a buy that the catalog cannot answer yet keeps the others of its batch in doubt",
        "wsgi_apps/recovery.py",
        "                    self._doubts[one.key].tries += 1\n",
        "                    pass\n",
    ),
    Mutant(
        "a tier without its disk is ready",
        "a load balancer sends shoppers to a tier that cannot sell",
        "wsgi_apps/ready.py",
        "            return error.message\n",
        "            return None\n",
    ),
)
