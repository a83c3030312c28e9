"""The whole path in this process under a clock that tests move: for waits of hours.

Front, conversion, guard and store are the real ones, on a real journal and database; only the worker's process and
the network are left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import SECOND, Waiting
from collector_processor.app.policies import Choosing, document_of, possible
from collector_processor.app.reporting.equations import database_spans, journal_spans, records
from collector_processor.app.storing.pipeline import Pipeline
from collector_processor.config import Settings
from collector_processor.convert.fold import FoldSettings
from collector_processor.convert.union import unite
from collector_processor.guard import GateSettings, Protector
from collector_processor.journal.reader import read_batch, read_task
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import RawTask, Receipt, Signal
from collector_processor.store.database import Database
from collector_processor.store.figures import read_figures
from collector_processor.store.migrations import migrate
from collector_processor.store.postgres import PostgresStore
from support.lifecycle import T0, payload
from support.logs import logs_payload
from support.processor import handed_over

FLUSH_INTERVAL = SECOND // 10


class ClockedPath:
    """From request to record. `now` is ns; it begins ten seconds after `T0`, when the spans of tests start."""

    def __init__(
        self, settings: Settings, front: Front, waiting: list[Waiting], store: PostgresStore, database: Database
    ) -> None:
        self.settings = settings
        self.now = T0 + 10 * SECOND
        self.front = front
        self._waiting = waiting
        self._store = store
        self._database = database
        self._pipeline = Pipeline(Protector(None, None), FoldSettings(), GateSettings())

    async def send(self, *spans: Span) -> Receipt:
        return await self.front.accept(payload(spans), Signal.TRACES)

    async def log(self, *records: LogRecord) -> Receipt:
        return await self.front.accept(logs_payload(records), Signal.LOGS)

    async def wait(self, seconds: float) -> None:
        """Let time pass; what is due is sealed and stored."""
        self.now += int(seconds * SECOND)
        await self.front.tick()
        self.now += FLUSH_INTERVAL
        await self.front.tick()
        while self._waiting:
            await self._apply(self._waiting.pop(0).id)

    async def _apply(self, batch_id: UUID) -> None:
        raw = await self.front.run(lambda transaction: _read(transaction, batch_id))
        applied = await self._store.apply(self._pipeline.prepare(batch_id, raw))
        await self.front.complete(batch_id, applied)

    async def assert_balanced(self) -> None:
        counters = self.front.counters
        journal, database = journal_spans(counters), database_spans((await read_figures(self._database)).ledger)
        assert [each.missing for each in (journal, records(counters), database)] == [0, 0, 0]
        handed_over(journal, database)


def _read(transaction: Transaction, batch_id: UUID) -> Sequence[RawTask]:
    batch = read_batch(transaction.view, batch_id)
    assert batch is not None
    return [read_task(transaction.view, task) for task in batch.tasks]


@asynccontextmanager
async def clocked_path(folder: Path, database_url: str, **settings: Any) -> AsyncIterator[ClockedPath]:
    """A path over an empty folder and an empty database."""
    await migrate(database_url)
    waiting: list[Waiting] = []
    path: ClockedPath | None = None
    chosen = Settings(data_dir=folder, database_url=database_url, flush_interval=FLUSH_INTERVAL / SECOND, **settings)
    front = Front(chosen, waiting.extend, lambda: path.now if path else T0)
    sampling = Choosing(possible(document_of(chosen).config, judging=False))
    revise = Pipeline(Protector(None, None), FoldSettings(), GateSettings()).revise
    async with Database(database_url, application_name="clocked") as database:
        store = PostgresStore(database, revise, unite, sampling=sampling)
        path = ClockedPath(chosen, front, waiting, store, database)
        await front.recover()
        try:
            yield path
        finally:
            await front.stop()
