"""What a failure of the database says about what to do next, told from its SQLSTATE.

One record's own fault is none of these: `postgres` finds and refuses that record. What is told here stopped a whole
batch, which stays sealed.
"""

from __future__ import annotations

from typing import Final

import psycopg

from collector_processor.errors import StoreError, Trouble

_CANCELED: Final = "57014"
"""A statement took longer than it may; fewer records at a time may go through."""

_PASSING_CLASSES: Final = frozenset(
    {
        "08",  # connection
        "28",  # a log-in that is refused, as while passwords are changed
        "40",  # serialisation, deadlock
        "53",  # disk full (53100), out of memory, too many connections
        "55",  # a lock not to be had, a server that is starting
        "57",  # shut down, crashed, failing over (57P0x)
        "58",  # the operating system under the server, as a disk that fails
    }
)
_PASSING: Final = frozenset(
    {
        "25006",  # a server that only reads, as after a failover
        "25P03",  # a transaction that was idle for too long, as while this machine was asleep
        "25P04",
    }
)
_SETUP_CLASSES: Final = frozenset(
    {
        "0A",  # a feature that this server doesn't have
        "3D",  # no such database
        "3F",  # no such schema
        "42",  # a table or a right that is missing
    }
)


def trouble_of(error: psycopg.Error) -> Trouble:
    """What to do after a failure."""
    state = error.sqlstate
    if state is None:
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return Trouble.PASSING if lost else Trouble.SUSPECT
    if state == _CANCELED:
        return Trouble.SLOW
    if state in _PASSING or state[:2] in _PASSING_CLASSES:
        return Trouble.PASSING
    return Trouble.SETUP if state[:2] in _SETUP_CLASSES else Trouble.SUSPECT


def store_error(error: psycopg.Error) -> StoreError:
    """The failure in our words: the server's first line and its code, as the other lines may quote stored values."""
    return StoreError(describe(error), trouble=trouble_of(error))


def describe(error: psycopg.Error) -> str:
    """One line for a person: what the server said, or what the client noticed, and the SQLSTATE."""
    said = error.diag.message_primary or (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"PostgreSQL: {said} ({error.sqlstate})" if error.sqlstate else f"PostgreSQL: {said}"
