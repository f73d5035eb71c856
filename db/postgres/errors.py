"""Groups PostgreSQL's errors by what the store does about them, and explains each in one line.

Each error has a SQLSTATE of five characters, of which the first two are its class
(https://www.postgresql.org/docs/current/errcodes-appendix.html). An error without one comes from the connection, or
from the server before it has let the client in: libpq passes on only its words then.
"""

from enum import Enum, auto

import psycopg


class Kind(Enum):
    """The kinds of errors, by the answer that the store has to each."""

    LOST = auto()  # the connection is of no use any more: drop it, and let the client ask again with the same key
    CONFLICT = auto()  # another transaction was in the way: roll back, and run the transaction again after a pause
    STALE = auto()  # the connection remembers what the server has changed: drop it, and run the transaction again
    BUDGET = auto()  # the server takes no more connections
    FULL = auto()  # the server lacks room or memory, or was told to stop this statement: the client may ask again
    REFUSED = auto()  # the server does not let this program in: a person must act
    DAMAGE = auto()  # the server's data is damaged: a person must act
    MISTAKE = auto()  # a mistake in this code or its SQL, which ends with a traceback and is never tried again


# The server's words, where it speaks English, when it lets nobody in because it has too many connections already.
_TOO_MANY = ("too many clients", "too many connections", "remaining connection slots")

# For shoppers. It names no address.
AWAY = "the store cannot reach its data, try again"

# The longest prefix of a SQLSTATE that is here decides. What is not here is a mistake.
_KINDS = {
    "08": Kind.LOST,  # the connection failed
    "57P01": Kind.LOST,  # an administrator ended this connection
    "57P02": Kind.LOST,  # the server crashed
    "57P03": Kind.LOST,  # the server starts, stops or recovers
    "57P05": Kind.LOST,  # the connection was idle for too long
    "25006": Kind.LOST,  # the server is read-only: it became a standby
    "25P03": Kind.LOST,  # idle_in_transaction_session_timeout
    "25P04": Kind.LOST,  # transaction_timeout
    "40001": Kind.CONFLICT,  # serialization failure
    "40P01": Kind.CONFLICT,  # deadlock
    "55P03": Kind.CONFLICT,  # lock_timeout
    "0A000": Kind.STALE,  # "cached plan must not change result type": a migration changed a table meanwhile
    "26000": Kind.STALE,  # the server has forgotten a prepared statement, as behind a pooler
    "53300": Kind.BUDGET,  # too many connections
    "53": Kind.FULL,  # the disk is full, or the memory
    "57014": Kind.FULL,  # the statement was cancelled
    "58": Kind.FULL,  # the server's disk fails
    "42501": Kind.REFUSED,  # the role lacks a privilege
    "57P04": Kind.REFUSED,  # the database was dropped
    "XX001": Kind.DAMAGE,
    "XX002": Kind.DAMAGE,
}


def kind_of(error: psycopg.Error) -> Kind:
    """Returns what the store does about the error. An error of the connection has no SQLSTATE."""
    state = error.sqlstate
    if state is None:
        return Kind.LOST if isinstance(error, psycopg.OperationalError) else Kind.MISTAKE
    for length in (5, 2):
        if (kind := _KINDS.get(state[:length])) is not None:
            return kind
    return Kind.MISTAKE


def explain(error: psycopg.Error) -> str:
    """Explains the error in one line for the log: how it fails, and what to do."""
    said, kind = _one_line(error), kind_of(error)
    if kind is Kind.BUDGET or any(words in said for words in _TOO_MANY):
        return f"it takes no more connections ({said}); raise its max_connections, or run fewer processes of the tiers"
    if kind is Kind.REFUSED:
        return f"it does not let this program in ({said}); check the address, and the role and its privileges"
    if kind is Kind.DAMAGE:
        return f"its data are damaged ({said}); restore a backup"
    return said


def _one_line(error: psycopg.Error) -> str:
    """Returns the error's message; of several hosts that failed, what each of them said."""
    lines = [" ".join(line.split()) for line in str(error).split("\n")]
    hosts = [line.removeprefix("- ") for line in lines if line.startswith("- host: ")]
    return "; ".join(hosts) or lines[0] or type(error).__name__


def explain_to_shopper(error: psycopg.Error) -> str:
    """Explains the error to a shopper: without addresses, and with "try again" only when a retry may help."""
    if kind_of(error) is Kind.DAMAGE:
        return "the store's data is damaged"
    return AWAY
