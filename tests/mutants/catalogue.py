"""Small, believable defects: what a tired engineer could have written. Each is a change of a few words in one file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `file`, `old` stands once and becomes `new`. `breaks` says what would go wrong, and by which promise."""

    name: str
    breaks: str
    file: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "the catalog forgets the keys",
        "I3: a repeated buy is sold again",
        "db/catalog.py",
        "if buy.key not in ended:\n",
        "if True:\n",
    ),
    Mutant(
        "the key is looked up in a transaction of its own",
        "I3: two equal buys at once are both sold",
        "db/catalog.py",
        "    stock = _lookup(transaction, [buy.product for buy in buys])\n",
        '    transaction.execute("COMMIT")\n'
        '    transaction.execute("BEGIN IMMEDIATE")\n'
        "    stock = _lookup(transaction, [buy.product for buy in buys])\n",
    ),
    Mutant(
        "no intent",
        "I1: a buy that was sold when the order tier died is in no log",
        "db/order.py",
        "    run_each(transaction, _INSERT_INTENT, begun)\n",
        "",
    ),
    Mutant(
        "the catalog does not store a refusal",
        "I5: the same key is refused, and sold after a restock",
        "db/catalog.py",
        "    run_each(transaction, _INSERT_REFUSAL, refusals)\n",
        "",
    ),
    Mutant(
        "the order tier does not store a refusal",
        "I5: a refused buy leaves no line in the log",
        "db/order.py",
        "    run_each(transaction, _INSERT_REFUSAL, refused)\n",
        "",
    ),
    Mutant(
        "blind append",
        "I3: a buy that the recovery has finished meanwhile is logged twice",
        "db/order.py",
        "        if receipt is not None or sale is None:\n",
        "        if sale is None:\n",
    ),
    Mutant(
        "a timeout is logged as a refusal",
        "I1, I5: the pieces are gone, and the shopper is told that there were none",
        "domain/checkout.py",
        "            sales = answer_each(self._catalog.sell, [buys[at] for at in begun], MAX_BATCH, within_s)\n",
        "            try:\n"
        "                sales = answer_each(self._catalog.sell, [buys[at] for at in begun], MAX_BATCH, within_s)\n"
        "            except StoreError:\n"
        "                from domain.errors import OutOfStock\n\n"
        "                sales = [OutOfStock() for _ in begun]\n",
    ),
    Mutant(
        "BEGIN DEFERRED",
        "a writer that meets another fails at once, whatever the busy timeout",
        "db/connection.py",
        'connection.execute("BEGIN IMMEDIATE")',
        'connection.execute("BEGIN DEFERRED")',
    ),
    Mutant(
        "synchronous=NORMAL",
        "I5: a power cut takes acknowledged orders",
        "db/connection.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = NORMAL",
    ),
    Mutant(
        "what a killed worker left is synced, and stays in the log",
        "I1, I5: a sync that failed before hides a hole in the log from this one, until the power goes",
        "db/connection.py",
        "mode=apsw.SQLITE_CHECKPOINT_TRUNCATE",
        "mode=apsw.SQLITE_CHECKPOINT_PASSIVE",
    ),
    Mutant(
        "the stock is not looked at before a sale",
        "I2: only the CHECK stands between the last piece and an oversell, and its error is no answer",
        "db/catalog.py",
        "if product is None or product.quantity < buy.quantity:\n",
        "if product is None:\n",
    ),
    Mutant(
        "the catalog compares a key without its product",
        "I5: a key that was used for one product answers for another",
        "db/catalog.py",
        "sale if known == asked else",
        "sale if known[1:] == asked[1:] else",
    ),
    Mutant(
        "the order tier compares a key without its product",
        "I5: the same, at the log",
        "db/order.py",
        "receipt if known in (buy, None) else",
        "receipt if known is None or known.quantity == buy.quantity else",
    ),
    Mutant(
        "a batch loses the caller behind it",
        "whoever does not fit into a batch waits for ever",
        "wsgi_apps/together.py",
        "                batch.append(self._line.popleft())\n"
        "                size += len(batch[-1].questions)\n"
        "            self._waiting -= size\n",
        "                batch.append(self._line.popleft())\n"
        "                size += len(batch[-1].questions)\n"
        "            self._line.clear()\n"
        "            self._waiting = 0\n",
    ),
    Mutant(
        "a batch answers the wrong callers",
        "I5: shoppers get each other's numbers",
        "wsgi_apps/together.py",
        "            for caller in batch:\n                caller.answers.set_result(",
        "            for caller in reversed(batch):\n                caller.answers.set_result(",
    ),
    Mutant(
        "the error of one is the error of all",
        "one poisonous question fails its whole batch",
        "wsgi_apps/together.py",
        "            if len(batch) == 1:\n                first.fail(error)\n",
        "            if batch:\n                for caller in batch:\n                    caller.fail(error)\n",
    ),
    Mutant(
        "the recovery makes new keys",
        "I3: a buy in doubt is sold twice",
        "domain/checkout.py",
        "        sales = self._catalog.sell(batch)\n",
        "        from dataclasses import replace\n\n"
        '        sales = self._catalog.sell([replace(buy, key=f"{buy.key}-again") for buy in batch])\n',
    ),
    Mutant(
        "the recovery never comes to an end",
        "I6: buys in doubt stay",
        "wsgi_apps/recovery.py",
        "now - self._doubts[buy.key].first_seen >= OVERDUE_S",
        "now - self._doubts[buy.key].first_seen < 0",
    ),
    Mutant(
        "an intent is dropped with those of the same product",
        "I1: another buy in doubt is forgotten",
        "db/order.py",
        "DELETE FROM intents WHERE key = :key AND product = :product AND quantity = :quantity",
        "DELETE FROM intents WHERE product = :product AND quantity = :quantity AND :key = :key",
    ),
    Mutant(
        "a call is repeated under a new key",
        "I3: a reply that was lost is a second buy",
        "wsgi_apps/peer.py",
        "            answer = self._ask(method, path, headers, body, timeout_s",
        "            if body and retry_number:\n"
        '                body = body.replace(b\'"key": "\', b\'"key": "x\')\n'
        "            answer = self._ask(method, path, headers, body, timeout_s",
    ),
    Mutant(
        "a 5xx of the tier behind is an answer",
        "I5: a passing trouble becomes an error that shoppers see",
        "wsgi_apps/peer.py",
        "return self.status < 500 and",
        "return self.status < 600 and",
    ),
    Mutant(
        "a no to the whole batch is a no to each buy",
        "I1, I5: a misread call refuses what it may have sold",
        "wsgi_apps/clients.py",
        "    except StoreError as error:\n        raise Unavailable from error\n    if len(values)",
        "    except StoreError as error:\n"
        "        return [error_json(answer[0], error.message) for _ in range(count)]\n"
        "    if len(values)",
    ),
    Mutant(
        "the connection stays after a failed write",
        "SQLite may believe in pages that never reached the disk",
        "db/database.py",
        "            self.close()\n            why = explain(",
        "            why = explain(",
    ),
    Mutant(
        "the first order has number 1",
        "I4: numbers are 0 to n-1",
        "db/order.py",
        "VALUES ((SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM orders)),",
        "VALUES (NULL,",
    ),
    Mutant(
        "no AUTOINCREMENT",
        "I4: the number of a last order that was removed by force is given out again",
        "migrations/order/0001_order.sql",
        "PRIMARY KEY AUTOINCREMENT",
        "PRIMARY KEY",
    ),
    Mutant(
        "the order log can be changed",
        "history is what somebody made of it",
        "migrations/order/0001_order.sql",
        "    SELECT RAISE(ABORT, 'the order log is append-only');\nEND;\nCREATE TRIGGER orders_delete",
        "    SELECT 1;\nEND;\nCREATE TRIGGER orders_delete",
    ),
    Mutant(
        "the price of today on an order of yesterday",
        "an order repeats the price at which it was not sold",
        "db/catalog.py",
        "coalesce(stock_ledger.reason, :reason), price_cents,",
        "coalesce(stock_ledger.reason, :reason),"
        " (SELECT products.price_cents FROM products WHERE name = stock_ledger.product),",
    ),
    Mutant(
        "the order tier waits longer than the front end",
        "deadlines no longer shrink inward: the front end gives up first, and asks for what is still under way",
        "wsgi_apps/order.py",
        "DEADLINE_S = 2.0",
        "DEADLINE_S = 7.0",
    ),
    Mutant(
        "half of a migration is committed",
        "a crash in a migration leaves a schema that no code knows",
        "db/migrate.py",
        '                connection.execute(script.read_text(encoding="utf-8")).fetchall()\n',
        '                connection.execute(script.read_text(encoding="utf-8")).fetchall()\n'
        '                connection.execute("COMMIT; BEGIN IMMEDIATE")\n',
    ),
    Mutant(
        "a retired product is still sold",
        "the owner takes a product out of the shop, and shoppers go on buying it",
        "db/catalog.py",
        "ON name = asked.value AND NOT retired",
        "ON name = asked.value",
    ),
    Mutant(
        "a backup of two moments",
        "I3: in the copy a key is sold that was neither ordered nor begun",
        "db/backup.py",
        "with closing(order_log), order_log.write():",
        "with closing(order_log):",
    ),
    Mutant(
        "the audit reads the log before the catalog's sales",
        "a buy under way is reported as sold and never ordered",
        "db/audit/stock.py",
        "look(CATALOG, LOG)",
        "look(LOG, CATALOG)",
    ),
    Mutant(
        "a restock is not looked up by its key",
        "a command that is repeated adds the pieces again",
        "db/assortment.py",
        "    return bool(rows)",
        "    return False",
    ),
    Mutant(
        "a price from the wire is cut, not rounded",
        "shoppers see 19.98 for a product of 19.99",
        "wsgi_apps/wire.py",
        'value["name"], round(value["price"] * 100)',
        'value["name"], int(value["price"] * 100)',
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
        "wsgi_apps/peer.py",
        "            response, data = _exchange(",
        "            self._idle.append(connection)\n            response, data = _exchange(",
    ),
    Mutant(
        "after a dead connection the others of its age are kept",
        "a tier that was restarted costs a try for each of them",
        "wsgi_apps/peer.py",
        "            self.close()  # the others are as old",
        "            pass  # the others are as old",
    ),
    Mutant(
        "more answers than questions are taken",
        "I5: whose answer is whose is a guess",
        "wsgi_apps/clients.py",
        "len(values) != count",
        "len(values) < count",
    ),
    Mutant(
        "each order worker has the whole allowance",
        "more refused buys are written down than REFUSED_PER_S says",
        "wsgi_apps/order.py",
        " / settings.order.workers",
        "",
    ),
    Mutant(
        "sales queue behind direct decrements",
        "who takes pieces at the catalog holds up who buys",
        "wsgi_apps/catalog.py",
        "in_thread(self.sell, sellers)",
        "in_thread(self.sell, pool)",
    ),
    Mutant(
        "a call waits for more than it can carry",
        "a full line lingers, and each of it waits longer",
        "wsgi_apps/together.py",
        "self._expected = min(self._most, ",
        "self._expected = max(1, ",
    ),
    Mutant(
        "all front-end workers on one core",
        "half of the machine idles",
        "server/cores.py",
        "return taken.count(core), last, core",
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
        "server/worker.py",
        "if now > self._backs_off_until + ACCEPT_BACKOFF_S:",
        "if now > self._backs_off_until:",
    ),
    Mutant(
        "the loop turns away before it can be woken again",
        "an answer that comes at the wrong moment waits for the next one",
        "server/worker.py",
        "        self._wake_sent = False  # first: whoever comes from now on tells again\n"
        "        while self._answered:\n"
        "            connection, answer = self._answered.popleft()\n"
        "            self._guard(lambda connection: self._respond(connection, answer), connection)  # noqa: B023\n",
        "        while self._answered:\n"
        "            connection, answer = self._answered.popleft()\n"
        "            self._guard(lambda connection: self._respond(connection, answer), connection)  # noqa: B023\n"
        "        self._wake_sent = False\n",
    ),
    Mutant(
        "the master hears of a worker once a minute",
        "it takes each for dead and kills it, with the requests in its hands",
        "server/worker.py",
        "NOTIFY_INTERVAL_S = 1.0",
        "NOTIFY_INTERVAL_S = 60.0",
    ),
    Mutant(
        "what comes behind the end of our side is kept",
        "a client that was told to go, and goes on sending, fills the memory",
        "server/connection.py",
        "if self.state is not State.LINGERING:",
        "if True:",
    ),
    Mutant(
        "an empty line before a request leaves the search where it was",
        "the end of a head is missed, and every later answer of the connection belongs to the request before",
        "server/reader.py",
        "            del buffer[:2]\n            self._searched = 0\n",
        "            del buffer[:2]\n",
    ),
    Mutant(
        "the search for the end of a head goes on too far",
        "a head that was cut within its last line end is never answered",
        "server/reader.py",
        "len(buffer) - len(_END_OF_HEAD) + 1",
        "len(buffer)",
    ),
    Mutant(
        "a body begins where the buffer does, and ends with it",
        "a request behind a body is taken for a part of it",
        "server/reader.py",
        "self._take(request.content_length)",
        "self._take(len(self._buffer))",
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
        "elif key in _SINGLE:",
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
        "keep_alive = request.keep_alive and self.alive",
        "keep_alive = request.keep_alive",
    ),
    Mutant(
        "SQLite waits for locks by itself",
        "a Ctrl-C is obeyed when the wait is over, and then the change may have been made",
        "db/patience.py",
        "    connection.set_busy_handler(wait)",
        "    connection.set_busy_timeout(timeout_ms)",
    ),
    Mutant(
        "who has waited for a lock once waits no more",
        "the second statement of a connection fails at once when another writes",
        "db/patience.py",
        "        if tries == 0:",
        "        if tries == 0 and not ends:",
    ),
    Mutant(
        "the largest stock is too large",
        "the owner cannot say what the schema can hold",
        "domain/values.py",
        "<= quantity <= MAX_STOCK",
        "<= quantity < MAX_STOCK",
    ),
    Mutant(
        "the stock may be changed by hand",
        "I1: whoever has a shell changes the stock beside its ledger, and nobody can tell why",
        "migrations/catalog/0004_ledger_first.sql",
        "ON products WHEN NEW.quantity IS NOT OLD.quantity BEGIN",
        "ON products WHEN FALSE BEGIN",
    ),
    Mutant(
        "an entry of the ledger may leave numbers out",
        "I1: an entry far ahead, or below 0, is made by hand, and the audit is red for ever",
        "migrations/catalog/0004_ledger_first.sql",
        "WHERE NEW.entry <> 1 AND NOT EXISTS (SELECT 1 FROM stock_ledger",
        "WHERE NEW.entry = 0 AND NOT EXISTS (SELECT 1 FROM stock_ledger",
    ),
    Mutant(
        "an upgrade forgets the numbers that were given out",
        "I4: an order's number is given out twice",
        "migrations/order/0003_explained_orders.sql",
        "ALTER TABLE orders DROP COLUMN price;",
        "ALTER TABLE orders DROP COLUMN price; DELETE FROM sqlite_sequence;",
    ),
    Mutant(
        "an order needs no buy",
        "I3: an order is written by hand that was never sold",
        "migrations/order/0003_explained_orders.sql",
        "    SELECT RAISE(ABORT, 'an order is the end of a buy in doubt (intents), which the order tier begins')\n"
        "        WHERE NOT EXISTS",
        "    SELECT RAISE(ABORT, 'an order is the end of a buy in doubt (intents), which the order tier begins')\n"
        "        WHERE FALSE AND NOT EXISTS",
    ),
    Mutant(
        "a signature covers all that reads alike",
        "what is wrong anew hides behind what was accepted before",
        "db/audit/__init__.py",
        "replace(one, nth=seen[one])",
        "replace(one, nth=1)",
    ),
    Mutant(
        "a signature covers a changed schema",
        "an accepted trigger is replaced by another one, and the audit is content",
        "db/audit/discrepancy.py",
        "self.what, self.detail, str(self.nth)",
        "self.what, str(self.nth)",
    ),
    Mutant(
        "a correction counts from the forged stock",
        "I1: the ledger has a gap that no count can close",
        "db/assortment.py",
        "coalesce((SELECT balance FROM stock_ledger WHERE product = name ORDER BY entry DESC LIMIT 1), 0)",
        "quantity",
    ),
    Mutant(
        "a tier is asked again before it wishes",
        "an overloaded tier is asked all the more",
        "wsgi_apps/peer.py",
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
        "            self._tokens -= 1.0\n",
        "",
    ),
    Mutant(
        "a buy that was sold gives nothing back",
        "after an outage, late shoppers are put off for as long again",
        "domain/refusals.py",
        "                self._held.pop(key, None)\n            self._spend(sum(buys.values()))",
        "                self._held.pop(key, None)\n            self._spend(len(buys))",
    ),
    Mutant(
        "all who are put off are told the same",
        "they come back all at once",
        "domain/refusals.py",
        "            self._line_end = place\n",
        "            pass\n",
    ),
    Mutant(
        "the poison of a batch is the end of the sweep",
        "I6: one buy that cannot be answered keeps all others in doubt",
        "domain/isolation.py",
        "            if len(batch) == 1:\n                yield batch[0], Failed(error)",
        "            if len(batch) == 1:\n                raise\n                yield batch[0], Failed(error)",
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
    Mutant(
        "a whole number has one digit more",
        "a number of 19 digits is beyond SQLite's integers, and its error is no answer",
        "domain/values.py",
        "{1,18}",
        "{1,19}",
    ),
    Mutant(
        "the buys of a batch do not see each other's pieces",
        "I2: the last piece is promised to each buy of a batch, and the schema's error is no answer to any",
        "db/catalog.py",
        "                stock[buy.product] = Product(",
        "                Product(",
    ),
    Mutant(
        "a key that comes twice in a batch is one step",
        "I5: the second of two steps has no receipt, and the answers slip to the wrong buys",
        "db/order.py",
        "        if key in stretch:\n",
        "        if False:\n",
    ),
    Mutant(
        "nobody hears of those who are put back in line",
        "they wait until another shopper comes, though a thread is free for them",
        "wsgi_apps/together.py",
        "self._add_waiting(len(caller.questions))  # another",
        "self._waiting += len(caller.questions)  # another",
    ),
    Mutant(
        "two batches see the same room for refusals",
        "more refused buys are written down than the allowance has",
        "domain/refusals.py",
        "        with self._beginning:",
        "        if True:",
    ),
    Mutant(
        "threads do not take turns at the database",
        "a batch in flight sleeps beside a lock that is free again",
        "db/database.py",
        "with self._turn(), keys,",
        "with keys,",
    ),
)
