"""How what happens in the journal's commit thread is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from collector_processor.journal.transaction import Transaction

T = TypeVar("T")


class Run(Protocol):
    """Runs an operation in the journal's commit thread, and `committed` there once it is durable."""

    def __call__(
        self, operation: Callable[[Transaction], T], committed: Callable[[T], None] | None = None, /
    ) -> Awaitable[T]:
        """Return what the operation gives. Raises JournalError."""
