"""Every error that a stage raises on purpose. A message names the thing and says how to mend it."""

from __future__ import annotations

from enum import StrEnum


class BenchmarkError(Exception):
    """Base of all errors of the processor: the command prints its message without a traceback."""


def told(error: BaseException) -> str:
    """What may be said of an error: our own speak for themselves, of others only the type and what the system said.

    The message of an error that nobody foresaw may quote what an application sent.
    """
    if isinstance(error, BenchmarkError):
        return str(error)
    name = type(error).__name__
    return f"{name}: {error.strerror}" if isinstance(error, OSError) and error.strerror else name


class ConfigError(BenchmarkError):
    """A setting is unknown or its value can't be used; the message names the setting and what is allowed."""


# -- Receiving -------------------------------------------------------------------------------------


class RequestError(BenchmarkError):
    """A request is refused as a whole."""


class MalformedRequestError(RequestError):
    """The body can't be read: 400 or INVALID_ARGUMENT, never to be sent again unchanged."""


class RequestTooLargeError(RequestError):
    """The body is larger than the limit after decompression: 413 or RESOURCE_EXHAUSTED."""


class UnauthenticatedError(RequestError):
    """The request names no token that is known: 401 or UNAUTHENTICATED."""


class OverloadedError(RequestError):
    """There is no room now: 503 with Retry-After or UNAVAILABLE with RetryInfo; the sender tries again.

    Attributes:
        retry_after: seconds after which to come back.
    """

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


# -- Journal ---------------------------------------------------------------------------------------


class JournalError(BenchmarkError):
    """The journal can't be opened, read or written."""


class JournalFullError(JournalError):
    """`JOURNAL_MAX_BYTES` is reached: nothing of the request was written."""


class DeadLettersFullError(JournalError):
    """Dead letters have no room for another one: its batch stays sealed until a person has made some."""


class JournalInUseError(JournalError):
    """Another process holds the journal's lock."""


class DamagedEntryError(JournalError):
    """A stored value doesn't match its authentication tag or its format."""


class LostKeyError(DamagedEntryError):
    """The key that a stored value was encrypted with is not there: destroyed with its epoch, or lost."""


class KeyWriteError(JournalError):
    """A new key could not be made durable: nothing was encrypted with it."""


# -- Conversion ------------------------------------------------------------------------------------


class UndecodableSpanError(BenchmarkError):
    """A span's header was good but its attributes can't be decoded: it is kept raw and counted."""


class CorrectionError(BenchmarkError):
    """A person's correction can't be applied to the record; the message names the step and why."""


class DetectionError(BenchmarkError):
    """Stored texts can't be searched for personal data and credentials; the message names their fields."""


# -- Store -----------------------------------------------------------------------------------------


class Trouble(StrEnum):
    """What a failed store says about trying again.

    PASSING: the same may succeed later (connection, lock, serialisation, full disk, read-only, failover).
    SLOW: so may less at a time. SETUP: a person has to mend the database. SUSPECT: what was to be stored may be to
    blame.
    """

    PASSING = "passing"
    SLOW = "slow"
    SETUP = "setup"
    SUSPECT = "suspect"


class StoreError(BenchmarkError):
    """The database refused or failed; the batch stays sealed and is tried again.

    Attributes:
        trouble: what to do about it.
    """

    def __init__(self, message: str, *, transient: bool = False, trouble: Trouble | None = None) -> None:
        super().__init__(message)
        self.trouble = trouble or (Trouble.PASSING if transient else Trouble.SETUP)

    @property
    def transient(self) -> bool:
        """The same call may succeed later."""
        return self.trouble in (Trouble.PASSING, Trouble.SLOW)


class UnfitError(BenchmarkError):
    """A record can't be made of its facts; the message says why. It concerns that record alone."""


class EmbeddedServerError(StoreError):
    """The embedded PostgreSQL could not be installed, started or stopped."""


class MigrationError(StoreError):
    """The database's schema is not what this program expects."""


# -- Analysis --------------------------------------------------------------------------------------


class AnalysisError(BenchmarkError):
    """No process that analyses can be started; what is to be analysed keeps."""


# -- Fallback --------------------------------------------------------------------------------------


class FallbackError(BenchmarkError):
    """The fallback can't be used; what should go there stays where it is."""


class FallbackFullError(FallbackError):
    """`FALLBACK_MAX_BYTES` would be passed: nothing was written."""


class DamagedLineError(FallbackError):
    """A line is not what was written, or of another format."""


# -- Forwarding ------------------------------------------------------------------------------------


class ForwardError(BenchmarkError):
    """The backend has not taken what was forwarded to it.

    Attributes:
        transient: the same request may be taken later.
        retry_after: seconds after which the backend wants to be asked again; None where it didn't say.
    """

    def __init__(self, message: str, *, transient: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        self.retry_after = retry_after


# -- Commands --------------------------------------------------------------------------------------


class NotRunningError(BenchmarkError):
    """No processor answers on the control socket of the data directory."""


class ControlError(BenchmarkError):
    """The running processor refused or failed to do what a command asked of it."""


# -- Demonstration ---------------------------------------------------------------------------------


class DemoError(BenchmarkError):
    """A part of the demonstration didn't start, or failed; the message holds its last words."""
