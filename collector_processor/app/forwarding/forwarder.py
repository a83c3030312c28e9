"""The forwarder process: reads batches while workers store them, and forwards them when their records are there.

It is apart so that it never slows the way into the database: the front tells it what happens and goes on, it holds a
bounded number of bytes, and what it can't take in time is counted as dropped. Each span leaves the journal once, in a
batch or beside one, so none is forwarded twice, and nobody has to remember which ones were.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import lmdb

from collector_processor.app.child import Send, run
from collector_processor.app.privacy import protector_of
from collector_processor.app.protocol import (
    Account,
    BatchStored,
    BeginForwarding,
    Departed,
    Failed,
    Finish,
    Take,
    Taken,
    Up,
    Word,
    decode_begin_forwarding,
    decode_notice,
    read_frame,
)
from collector_processor.config import Settings
from collector_processor.errors import BenchmarkError, ForwardError, StoreError, Trouble
from collector_processor.forward.otlp import Backend, Exporter, connect
from collector_processor.forward.prepare import Piece, Prepared, Preparer, fact_ids
from collector_processor.forward.redact import Redactor
from collector_processor.forward.select import Selector
from collector_processor.forward.send import Sender
from collector_processor.forward.tally import Drop, Room, Tally
from collector_processor.guard import Protector
from collector_processor.guard.privacy import Text
from collector_processor.guard.tenants import hashed
from collector_processor.journal.reader import JournalReader
from collector_processor.model.record import point_id
from collector_processor.model.stages import RawTask, SealKind, SpanKey, Standing
from collector_processor.store.database import Database
from collector_processor.store.standings import Standings, erased_traces, read_standings
from collector_processor.telemetry import configure, get_logger

log = get_logger(__name__)

ACCOUNT_SECONDS: Final = 0.2
ASK_PAUSES: Final = (0.25, 1.0, 4.0)
"""Before the database is asked again how records stand; after the last one the spans are dropped."""
KEPT_TRACES: Final = 10_000
"""Traces of tasks that were kept whatever the ratio: what else comes of them, minutes later, is kept too."""
NICENESS: Final = 10
"""Where everybody wants the processor, those that store go first."""


class _Held(NamedTuple):
    """A batch that is being stored: tasks to forward then, and what has become of the spans of the others.

    That counts when the batch is stored: should we end before, another process reads the batch again and counts anew.
    """

    tasks: list[RawTask]
    tally: Tally


class Forwarder:
    """Takes notices, does the work behind them in tasks of its own, and gives account.

    Args:
        begin: the settings.
        database: asked how records stand.
        exporter: how the backend is reached.
        tell: sends a word to the front.
    """

    def __init__(
        self, begin: BeginForwarding, database: Database, exporter: Exporter, tell: Callable[[Word], None]
    ) -> None:
        self._journal = JournalReader(Path(begin.journal))
        self._database = database
        self._tell = tell
        self._room = Room(begin.queue_bytes)
        self._tally = Tally()
        self._selector = Selector(begin.ratio, begin.keep)
        self._protector = protector_of(begin.tenant_key, begin.privacy_keys)
        self._preparer = Preparer(self._selector, redactor_of(begin, self._protector))
        self._sender = Sender(exporter, self._room, self._tally, self._still_shown)
        self._held: dict[UUID, _Held] = {}
        self._work: asyncio.Queue[UUID | Departed] = asyncio.Queue()
        self._kept: OrderedDict[bytes, None] = OrderedDict()
        self._accounted: tuple[int, int, str | None] = (0, 0, None)

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Until the front says Finish. Raises EOFError where it ends without a word."""
        listening = asyncio.create_task(self._listen(reader))
        working = [asyncio.create_task(each()) for each in (self._forward, self._sender.run, self._give_accounts)]
        tasks = (listening, *working)
        try:
            # Those that work end by an error alone, and then the process has to be replaced.
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
            await self._finish((await listening).seconds)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._give_account()

    async def _listen(self, reader: asyncio.StreamReader) -> Finish:
        while not isinstance(notice := decode_notice(await read_frame(reader)), Finish):
            match notice:
                case Take():
                    self._take(notice)
                case BatchStored(batch_id):
                    self._work.put_nowait(batch_id)
                case Departed():
                    self._receive(notice)
        return notice

    async def _finish(self, seconds: float) -> None:
        """Forward what is stored; what is not goes on after the next start."""
        try:
            async with asyncio.timeout(seconds / 2):
                await self._work.join()
        except TimeoutError:
            log.warning("forward: not everything was prepared before the end")
        await self._sender.finish(seconds / 2)

    # -- Notices ---------------------------------------------------------------------------------------------

    def _take(self, take: Take) -> None:
        """Read a batch, as far as there is room and its spans have a chance."""
        if take.batch_id not in self._held:
            held = self._held[take.batch_id] = _Held([], Tally())
            seen = 0
            try:
                for task in self._journal.tasks(take.batch_id):
                    seen += task.sealed.spans
                    self._hold(task, held)
            except (lmdb.Error, BenchmarkError) as error:
                log.warning("forward: a batch could not be read", problem=str(error))
            held.tally.drop(Drop.LATE, take.spans - seen)
        self._tell(Taken(take.batch_id))

    def _hold(self, task: RawTask, held: _Held) -> None:
        trace_id, spans = task.sealed.trace_id, task.sealed.spans
        if all(self._selector.rules_out(trace_id, payload) for _, payload, _ in task.payloads):
            held.tally.sampled += spans
        elif self._room.take(_size(task)):
            held.tasks.append(task)
        else:
            held.tally.drop(Drop.NO_ROOM, spans)

    def _receive(self, departed: Departed) -> None:
        if self._room.take(len(departed.payload)):
            self._work.put_nowait(departed)
        else:
            self._tally.drop(Drop.NO_ROOM, len(departed.positions))

    # -- Work ------------------------------------------------------------------------------------------------

    async def _forward(self) -> None:
        while True:
            item = await self._work.get()
            if isinstance(item, Departed):
                self._do(partial(self._forward_departed, item), len(item.positions), len(item.payload))
            else:
                held = self._held.pop(item)
                self._tally.add(held.tally)
                await self._forward_batch(held.tasks)
            self._work.task_done()
            await asyncio.sleep(0)

    async def _forward_batch(self, tasks: Sequence[RawTask]) -> None:
        standings = await self._ask(tasks)
        for task in tasks:
            if standings is None:
                self._tally.drop(Drop.NO_ANSWER, task.sealed.spans)
                self._room.give_back(_size(task))
            else:
                self._do(partial(self._forward_task, task, standings), task.sealed.spans, _size(task))
            await asyncio.sleep(0)  # the front waits for an answer to its next notice

    def _do(self, work: Callable[[], None], spans: int, size: int) -> None:
        """Work on spans that are held; an error nobody foresaw costs these and no others."""
        try:
            work()
        except Exception:
            log.exception("forward: spans were dropped")
            self._tally.drop(Drop.UNDECODABLE, spans)
        self._room.give_back(size)

    def _forward_task(self, task: RawTask, standings: Standings) -> None:
        sealed = task.sealed
        trace_id, payloads = sealed.trace_id, _payloads(task)
        if sealed.kind is SealKind.ORPHAN:

            def joined(span_id: bytes) -> Standing | None:
                return standings.of_strays.get(SpanKey(trace_id, span_id).hex)

            self._send(self._preparer.prepare(trace_id, payloads, joined))
            return
        standing = standings.of_points.get(point_id(trace_id, sealed.span_id))
        if standing is None or not standing.shown:
            self._tally.drop(Drop.NOT_SHOWN, sealed.spans)
            return
        if self._selector.keeps(standing):
            self._kept[trace_id] = None
            self._kept.move_to_end(trace_id)
            if len(self._kept) > KEPT_TRACES:
                self._kept.popitem(last=False)
        self._send(self._preparer.prepare(trace_id, payloads, lambda _: standing))

    def _forward_departed(self, departed: Departed) -> None:
        payloads = [(departed.payload, departed.positions)]
        kept = departed.trace_id in self._kept
        self._send(self._preparer.prepare(departed.trace_id, payloads, lambda _: None, kept=kept))

    def _send(self, prepared: Prepared) -> None:
        self._tally.sampled += prepared.sampled
        self._tally.drop(Drop.NOT_SHOWN, prepared.hidden)
        self._tally.drop(Drop.UNDECODABLE, prepared.undecodable)
        for piece in prepared.pieces:
            self._sender.add(piece)

    async def _ask(self, tasks: Sequence[RawTask]) -> Standings | None:
        """How the records of these tasks stand; None where the database doesn't say."""
        ids = {point_id(task.sealed.trace_id, task.sealed.span_id) for task in tasks if task.sealed.span_id}
        orphans = [task for task in tasks if not task.sealed.span_id]
        strays = {fact_id for task in orphans for fact_id in fact_ids(task.sealed.trace_id, _payloads(task))}
        if not ids and not strays:
            return Standings({}, {})
        for pause in (*ASK_PAUSES, None):
            try:
                return await read_standings(self._database, ids, strays)
            except StoreError as error:
                log.warning("forward: the database was asked in vain", problem=str(error))
            if pause is not None:
                await asyncio.sleep(pause)
        return None

    async def _still_shown(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Pieces whose records are still shown; those without one if nothing was erased from their trace."""
        points = {point for piece in pieces for point in piece.points}
        traces = {piece.trace_id for piece in pieces if not piece.points}
        try:
            standings = await read_standings(self._database, points) if points else Standings({}, {})
            erased = await erased_traces(self._database, traces) if traces else frozenset()
        except StoreError as error:
            raise ForwardError(f"the database doesn't say whether it may be sent: {error}", transient=True) from error
        shown = {point for point, standing in standings.of_points.items() if standing.shown}
        return [piece for piece in pieces if piece.points <= shown and piece.trace_id not in erased]

    # -- Account ---------------------------------------------------------------------------------------------

    async def _give_accounts(self) -> None:
        while True:
            await asyncio.sleep(ACCOUNT_SECONDS)
            self._give_account()

    def _give_account(self) -> None:
        tally, problem = self._tally, self._sender.problem
        state = (tally.total, self._room.used, problem)
        redactions = self._protector.take_account()
        if state != self._accounted or redactions.texts:
            self._accounted = state
            self._tell(Account(tally.sent, tally.sampled, dict(tally.dropped), self._room.used, problem, redactions))


def redactor_of(begin: BeginForwarding, protector: Protector) -> Redactor:
    """What makes the copies that leave, with the pseudonyms that records have."""

    def clean(texts: Sequence[tuple[str, str]], tenant: str | None) -> Sequence[str]:
        return protector.redact([Text(*text) for text in texts], tenant).values

    return Redactor(partial(hashed, key=begin.tenant_key), clean if begin.privacy_keys else None)


def _size(task: RawTask) -> int:
    return sum(len(payload) for _, payload, _ in task.payloads)


def _payloads(task: RawTask) -> list[tuple[bytes, tuple[int, ...]]]:
    return [(payload, positions) for _, payload, positions in task.payloads]


async def _serve(reader: asyncio.StreamReader, tell: Send) -> None:
    begin = decode_begin_forwarding(await read_frame(reader))
    configure(Settings(log_level=begin.log_level, log_format=begin.log_format))
    try:
        exporter = connect(
            Backend(begin.endpoint, begin.protocol, begin.headers, begin.ca_file, begin.cert_file, begin.key_file)
        )
        async with Database(begin.database_url, application_name=begin.name) as database:
            forwarder = Forwarder(begin, database, exporter, tell)
            tell(Up())
            await forwarder.serve(reader)
    except BenchmarkError as error:
        tell(Failed(str(error), getattr(error, "trouble", Trouble.SETUP)))
        return
    await exporter.close()


if __name__ == "__main__":
    run(_serve, niceness=NICENESS)
