"""A front without a processor: over a journal of its own, under a clock that the test moves.

The test stands for workers and database: what is sealed waits until it is completed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import SECOND, Waiting
from collector_processor.app.reporting.equations import deep_samples, journal_spans, records
from collector_processor.config import Settings
from collector_processor.journal.reader import read_batch, read_task
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Applied, Departure, RawTask, Signal
from support.logs import logs_payload
from support.spans import Piece, request

T = TypeVar("T")


class RunningFront:
    """One front after the other over the same folder.

    Attributes:
        now: the clock, in seconds.
        waiting: batches that were sealed and not completed.
        departed: foreign spans that left the journal beside a trace's tasks.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.keys = folder / "journal" / "keys"
        self.now = 1_760_000_000
        self.loop = asyncio.new_event_loop()
        self.settings = Settings(data_dir=folder, **{"flush_interval": 0.1, **settings})
        self.departed: list[Departure] = []
        self.begin()

    def begin(self) -> None:
        """Start a front; it announces what was sealed before."""
        self.waiting: list[Waiting] = []
        self.front = Front(self.settings, self.waiting.extend, lambda: self.now * SECOND, self.departed.extend)
        self.run(self.front.recover())

    def end(self) -> None:
        """Stop it well."""
        self.run(self.front.stop())

    @classmethod
    @contextmanager
    def over(cls, folder: Path, **settings: Any) -> Iterator[Self]:
        """Run one for as long as the block takes; then its equations balance."""
        running = cls(folder, **settings)
        yield running
        running.assert_balanced()
        running.end()
        running.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def ask(self, operation: Callable[[Transaction], T]) -> T:
        """Run an operation in the commit thread."""
        return self.run(self.front.run(operation))

    def send(self, *pieces: Piece) -> None:
        self.run(self.front.accept(request(pieces), Signal.TRACES))

    def log(self, *said: LogRecord) -> None:
        self.run(self.front.accept(logs_payload(said), Signal.LOGS))

    def wait(self, seconds: int, then: int = 1) -> None:
        """Let time pass; what was sealed then is `waiting`."""
        for pause in (seconds, then):  # what is closed by the first tick has waited long enough at the second
            self.now += pause
            self.run(self.front.tick())

    def tasks(self) -> Sequence[RawTask]:
        """What is sealed, as a worker reads it."""

        def read(transaction: Transaction) -> list[RawTask]:
            batches = [read_batch(transaction.view, batch.id) for batch in self.waiting]
            return [read_task(transaction.view, task) for batch in batches if batch for task in batch.tasks]

        return self.ask(read)

    def complete(self, applied: Applied) -> None:
        """The database has the one batch that waits."""
        (batch,) = self.waiting
        self.waiting.clear()
        self.run(self.front.complete(batch.id, applied))

    def store(self) -> None:
        """Let every closed task be sealed, and the database take whatever waits."""
        self.wait(11)
        for batch in self.waiting:
            self.run(self.front.complete(batch.id, Applied(in_points=batch.spans, accepted=batch.tasks)))
        self.waiting.clear()

    def assert_balanced(self) -> None:
        counters = self.front.counters
        equations = (journal_spans(counters), records(counters), deep_samples(counters))
        assert [each.missing for each in equations] == [0, 0, 0]
