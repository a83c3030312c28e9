"""A worker process: reads sealed batches from the journal, converts and guards them, writes them to the database.

It owns nothing: killed at any moment, its batch is applied again by its successor. It speaks with the front over
standard input and output and ends when its input does, so no worker outlives its front.
"""

from __future__ import annotations

import asyncio
import faulthandler
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import lmdb

from collector_processor.app.child import Send, run
from collector_processor.app.memory import give_back
from collector_processor.app.policies import Choosing, possible
from collector_processor.app.privacy import protector_of
from collector_processor.app.protocol import (
    Apply,
    Begin,
    Done,
    Failed,
    Import,
    Imported,
    JoinOrphans,
    OrphansJoined,
    Prepared,
    Reply,
    Request,
    Spill,
    Unapplied,
    Up,
    decode_begin,
    decode_request,
    read_frame,
)
from collector_processor.app.storing.fallback_work import as_lines, batch_of, outcome, recover
from collector_processor.app.storing.pipeline import Pipeline
from collector_processor.config import Settings
from collector_processor.convert.union import unite
from collector_processor.errors import BenchmarkError, FallbackError, StoreError, Trouble, told
from collector_processor.journal.reader import JournalReader
from collector_processor.model.stages import Applied, Redactions
from collector_processor.sample import read_document
from collector_processor.store.database import Database
from collector_processor.store.postgres import PostgresStore
from collector_processor.store.quality import read_baselines
from collector_processor.telemetry import configure, get_logger

log = get_logger(__name__)

WARNED_AT: Final = 0.9
"""Share of the front's patience after which the log is told what a worker is at: it is ended soon."""
BASELINE_SECONDS: Final = 60.0
"""For so long a worker compares tasks with what it has read."""


class Worker:
    """Answers the front's requests, one after the other."""

    def __init__(self, begin: Begin, database: Database) -> None:
        self._journal = JournalReader(Path(begin.journal))
        self._pipeline = pipeline_of(begin)
        self._database = database
        self._alone = False
        self._baselines_read: float | None = None
        skew = timedelta(milliseconds=begin.gates.clock_skew_ms)
        sampling = Choosing(possible(read_document(begin.policies, "the policies"), judging=begin.judging))
        self._store = PostgresStore(database, self._pipeline.revise, unite, clock_skew=skew, sampling=sampling)

    async def answer(self, request: Request) -> Reply:
        """Do what is asked; an error is a reply too, and leaves nothing half done."""
        try:
            match request:
                case Apply():
                    return await self._apply(request)
                case Spill():
                    return self._spill(request)
                case Import():
                    return await self._import(request)
                case JoinOrphans():
                    await self._end_predecessor()
                    return OrphansJoined(await self._store.join_orphans())
        except StoreError as error:
            self._alone = False  # the server may still be at what we gave up
            return Failed(str(error), error.trouble)
        except (BenchmarkError, lmdb.Error) as error:
            return Failed(told(error), Trouble.SETUP)
        except Exception as error:
            log.exception("worker: a request failed")
            return Failed(told(error), Trouble.SUSPECT)

    async def _apply(self, request: Apply) -> Done | Unapplied:
        began = time.perf_counter()
        batch = self._journal.batch(request.batch_id)
        if batch is None:
            return Done(request.batch_id, None, {}, Redactions())
        read = time.perf_counter()
        await self._end_predecessor()
        if await self._is_missing(request):
            return Unapplied(batch.id)
        if request.tries and (applied := await self._outcome(request)) is not None:
            return Done(batch.id, applied, {"read": read - began}, Redactions())
        await self._learn_what_is_usual()
        prepared = self._pipeline.prepare(*batch)
        converted = time.perf_counter()
        applied = await self._store.apply(prepared)
        stored = time.perf_counter()
        seconds = {"read": read - began, "convert": converted - read, "store": stored - converted}
        return Done(batch.id, applied, seconds, self._pipeline.take_account())

    def _spill(self, request: Spill) -> Prepared:
        batch = self._journal.batch(request.batch_id)
        if batch is None:
            return Prepared(request.batch_id, (), None, Redactions())
        prepared = self._pipeline.prepare(*batch)
        return as_lines(prepared, self._pipeline.take_account())

    async def _import(self, request: Import) -> Imported | Unapplied:
        await self._end_predecessor()
        if await self._is_missing(request):
            return Unapplied(request.batch_id)
        try:
            recovered = recover(request)
        except FallbackError as error:
            return Imported(request.batch_id, Applied(), (), (), problem=str(error))
        if not recovered.tasks:
            return Imported(request.batch_id, Applied(), recovered.damaged, ())
        applied = await self._store.outcome(request.batch_id) if request.tries else None
        applied = applied or await self._store.apply(batch_of(request, recovered))
        return outcome(request.batch_id, applied, recovered)

    async def _end_predecessor(self) -> None:
        """Once, and again after a failure: what a dead process left in the database may wait there for locks."""
        if not self._alone:
            await self._database.terminate_others()
            self._alone = True

    async def _is_missing(self, request: Apply | Import) -> bool:
        """Whether it was asked to look first, and the ledger has no such batch."""
        return request.look and await self._store.outcome(request.batch_id) is None

    async def _outcome(self, request: Apply) -> Applied | None:
        """The ledger row of a batch that was applied by a worker which could not say so any more.

        Undecodable spans have their bytes in the journal alone, so for their sake a batch is done again once.
        """
        applied = await self._store.outcome(request.batch_id)
        return None if applied is None or (applied.undecodable and request.tries == 1) else applied

    async def _learn_what_is_usual(self) -> None:
        """Read it again once a minute: it changes once an hour."""
        now = time.monotonic()
        if self._baselines_read is None or now - self._baselines_read > BASELINE_SECONDS:
            self._pipeline.baselines = await read_baselines(self._database, datetime.now(UTC))
            self._baselines_read = now


def pipeline_of(begin: Begin) -> Pipeline:
    """The conversion with the settings that the front sent."""
    return Pipeline(protector_of(begin.tenant_key, begin.privacy_keys), begin.fold, begin.gates)


async def _serve(reader: asyncio.StreamReader, send: Send) -> None:
    begin = decode_begin(await read_frame(reader))
    configure(Settings(log_level=begin.log_level, log_format=begin.log_format))
    async with Database(
        begin.database_url, application_name=begin.name, answer_seconds=begin.database_timeout
    ) as database:
        try:
            worker = Worker(begin, database)
        except BenchmarkError as error:
            send(Failed(str(error), Trouble.SETUP))
            return
        give_back()
        send(Up())
        while True:
            request = decode_request(await read_frame(reader))
            faulthandler.dump_traceback_later(begin.patience * WARNED_AT)
            send(await worker.answer(request))
            faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    run(_serve)
