"""Seeded bugs in the connections to PostgreSQL and their transactions."""

from tests.mutants.catalogue.mutant import Mutant

MUTANTS = (
    Mutant(
        "a transaction that only reads waits for no standby",
        "a duplicate is told the number of an order that is lost with the primary (I5)",
        "db/postgres/database.py",
        "        FROM pg_logical_emit_message(true, 'toystore', '')",
        "        ",
    ),
    Mutant(
        "a COMMIT that brings a warning is an answer",
        "a buy is told that no standby has, and may be lost with the primary (I5)",
        "db/postgres/session.py",
        "if warnings := self._connection.warnings:",
        "if warnings := list[str]():",
    ),
    Mutant(
        "the COMMIT of a failed transaction is an answer",
        "a buy is told that was rolled back (I5)",
        "db/postgres/session.py",
        'if commit.statusmessage != "COMMIT":',
        'if commit.statusmessage == "nothing":',
    ),
    Mutant(
        "a wait that is too long is cancelled",
        "the server shows a buy to others that no standby has (I5)",
        "db/postgres/connection.py",
        "        except psycopg.errors._WaitTimeout:\n",
        "        except psycopg.errors._WaitTimeout:\n            self.cancel()\n",
    ),
    Mutant(
        "a flush follows the end of a round trip",
        "the server never ends the transaction of a client that died, and its rows stay locked",
        "db/postgres/connection.py",
        "flush=False",
        "flush=True",
    ),
    Mutant(
        "statements with exaggerated costs are compiled",
        "each write takes forty times as long",
        "db/postgres/connection.py",
        "set_config('jit', 'off', false)",
        "set_config('jit', 'on', false)",
    ),
    Mutant(
        "a dead server is tried by each call",
        "a storm of new connections keeps the server from coming back",
        "db/postgres/pool.py",
        "if self._failures > 1:",
        "if self._failures < 0:",
    ),
    Mutant(
        "a forked process uses its parent's connections",
        "two processes read each other's answers",
        "db/postgres/pool.py",
        "if self._pid != os.getpid():",
        "if self._pid == 0:",
    ),
    Mutant(
        "a deadlock is not tried again",
        "a buy fails that met another one",
        "db/postgres/database.py",
        "_MAX_ATTEMPTS = 5",
        "_MAX_ATTEMPTS = 1",
    ),
    Mutant(
        "a role may turn synchronous_commit off",
        "a crash of the server loses answered buys (I5)",
        "db/postgres/durability.py",
        'if commit == "off" or (standbys',
        "if (standbys",
    ),
    Mutant(
        "two processes migrate at the same time",
        "a tier does not start beside another",
        "db/postgres/migrate.py",
        """        _fetch(connection, _LOCK, {"name": f"toystore {schema}"})\n""",
        "",
    ),
)
