"""The forwarder process as the front sees it: told what happens, never waited for, replaced when it dies.

Its account is kept here, so that a death costs what it held and not the count of it: whatever it was told of and gave
no account of is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from collector_processor.app.child import spawn
from collector_processor.app.journalling.sealing import Waiting
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
    decode_word,
    frame,
    read_frame,
)
from collector_processor.config import Settings
from collector_processor.forward.tally import Drop
from collector_processor.model.stages import Departure, Redactions
from collector_processor.telemetry import get_logger, metrics

log = get_logger(__name__)

TAKE_SECONDS: Final = 0.2
"""How long a stored batch stays in the journal for a forwarder that is still to read it. One that lets this pass is
waited for again only when it has caught up."""
START_SECONDS: Final = 5.0
"""How long storing waits for the first start of the process, which takes less than one by itself."""
FINISH_SECONDS: Final = 5.0
"""For what waits at the end."""
MAX_PIPE_BYTES: Final = 16 << 20
"""Notices that the forwarder hasn't read; above, it is told nothing more."""
FIRST_PAUSE: Final = 0.25
LAST_PAUSE: Final = 5.0
"""The forwarder is started again after a pause that doubles from the first to the last."""


def protocol_of(settings: Settings) -> str:
    """How the backend is spoken to: as its port says, unless the setting does."""
    if settings.forward_protocol != "auto":
        return settings.forward_protocol
    return "grpc" if urlsplit(settings.forward_endpoint).port == 4317 else "http/protobuf"


@dataclass(slots=True)
class _Batch:
    """A batch that a worker stores: its spans, whether the forwarder knows of it, and has read it."""

    spans: int
    told: bool = False
    taken: asyncio.Event = field(default_factory=asyncio.Event)


class Forwarding:
    """One per processor that forwards.

    Args:
        begin: gives the first message, once the database is there; asked again at each start of the process.

    Attributes:
        sent, sampled, dropped: spans so far, sampled ones being left out, dropped ones by reason.
        redactions: what the privacy pass did to what leaves.
        waiting_bytes: what the process holds.
        problem: why nothing is forwarded right now; None while all is well.
    """

    def __init__(self, begin: Callable[[], Awaitable[BeginForwarding]]) -> None:
        self._begin = begin
        self._batches: dict[UUID, _Batch] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._told = 0
        self._account = Account(0, 0, {}, 0, None)
        self._overdue = False
        self._began = asyncio.Event()
        self.sent = 0
        self.sampled = 0
        self.dropped: Counter[Drop] = Counter()
        self.redactions = Redactions()
        self.waiting_bytes = 0
        self.problem: str | None = "the forwarder process is not up yet"

    # -- Notices ---------------------------------------------------------------------------------------------

    def begun(self, batch: Waiting) -> None:
        """A worker begins to store a batch."""
        known = self._batches.setdefault(batch.id, _Batch(batch.spans))
        if not known.told:
            known.told = self._tell(Take(batch.id, batch.spans), batch.spans)

    async def taken(self, batch_id: UUID) -> None:
        """Before a stored batch leaves the journal: wait for the forwarder, but not for long."""
        batch = self._batches.get(batch_id)
        if batch is None or not batch.told or self._overdue:
            return
        try:
            await asyncio.wait_for(batch.taken.wait(), TAKE_SECONDS)
        except TimeoutError:
            self._overdue = True

    def stored(self, batch_id: UUID) -> None:
        """A batch is stored and has left the journal."""
        batch = self._batches.pop(batch_id, None)
        if batch is None:
            return
        if batch.told:
            self._tell(BatchStored(batch_id), 0)
        else:
            self._drop(Drop.NOT_RUNNING, batch.spans)

    def departed(self, departures: Sequence[Departure]) -> None:
        """Foreign spans beside tasks have left the journal."""
        for departure in departures:
            spans = len(departure.positions)
            if not departure.payload:
                self._drop(Drop.NO_ROOM, spans)
            elif not self._tell(Departed(*departure), spans):
                self._drop(Drop.NOT_RUNNING, spans)

    def _tell(self, notice: msgspec.Struct, spans: int) -> bool:
        """Whether the notice is on its way; `spans` is how many the process then has to give account of."""
        if self._process is None:
            return False
        pipe = self._process.stdin
        assert pipe is not None
        if pipe.is_closing() or (spans and pipe.transport.get_write_buffer_size() > MAX_PIPE_BYTES):
            return False
        pipe.write(frame(notice))
        self._told += spans
        return True

    # -- Life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process; it is replaced until `stop`."""
        self._keeping = asyncio.create_task(self._keep(), name="forwarding")

    async def wait_for_start(self) -> None:
        """Come back when the process is up or has failed to be, after a few seconds at the latest."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._began.wait(), START_SECONDS)

    async def stop(self) -> None:
        """Let the process send what waits, for a few seconds, and end it."""
        if self._keeping is None:
            return
        if self._process is not None:
            self._tell(Finish(FINISH_SECONDS), 0)
            await asyncio.wait({self._keeping}, timeout=FINISH_SECONDS + 1)
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                if await self._run():
                    return
                self.problem = "the forwarder process ended unexpectedly"
            except _FailedError as error:
                self.problem = str(error)
            except Exception as error:
                log.exception("forward: the forwarder failed")
                self.problem = repr(error)
            self._began.set()
            if time.monotonic() - began > LAST_PAUSE * 2:
                pause = FIRST_PAUSE
            log.warning("forward: started again after a pause", problem=self.problem, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    async def _run(self) -> bool:
        """Run one process to its end; whether it ended as it was told to."""
        process = await spawn("collector_processor.app.forwarding.forwarder")
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(frame(await self._begin()))
            with contextlib.suppress(EOFError):
                while True:
                    self._hear(decode_word(await read_frame(process.stdout)), process)
            return await process.wait() == 0
        finally:
            self._process = None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self._settle()

    def _hear(self, word: Word, process: asyncio.subprocess.Process) -> None:
        match word:
            case Up():
                self._process, self.problem = process, None
                self._began.set()
                for batch_id, batch in self._batches.items():
                    batch.told = self._tell(Take(batch_id, batch.spans), batch.spans)
            case Taken(batch_id):
                if batch_id in self._batches:
                    self._batches[batch_id].taken.set()
                self._overdue = any(batch.told and not batch.taken.is_set() for batch in self._batches.values())
            case Account():
                self._enter(word)
            case Failed(error):
                raise _FailedError(error)

    # -- Account ---------------------------------------------------------------------------------------------

    def _enter(self, account: Account) -> None:
        """Take over what a process has done since its last account."""
        before, self._account = self._account, account
        self.sent += account.sent - before.sent
        self.sampled += account.sampled - before.sampled
        metrics.FORWARDED_SPANS.labels("sent").inc(account.sent - before.sent)
        metrics.FORWARDED_SPANS.labels("sampled_out").inc(account.sampled - before.sampled)
        for reason, spans in account.dropped.items():
            self._drop(reason, spans - before.dropped.get(reason, 0))
        self.redactions = self.redactions.plus(account.redactions)
        self.waiting_bytes, self.problem = account.waiting_bytes, account.problem

    def _settle(self) -> None:
        """A process has ended: what it gave no account of is lost, but for batches that can be read again."""
        account = self._account
        again = sum(batch.spans for batch in self._batches.values() if batch.told)
        self._drop(
            Drop.NOT_RUNNING, self._told - account.sent - account.sampled - sum(account.dropped.values()) - again
        )
        self._told, self._account, self._overdue = 0, Account(0, 0, {}, 0, None), False
        self.waiting_bytes = 0
        for batch in self._batches.values():
            batch.told = False
            batch.taken.set()  # who waits for it waits in vain
            batch.taken = asyncio.Event()

    def _drop(self, reason: Drop, spans: int) -> None:
        if spans > 0:
            self.dropped[reason] += spans
            metrics.FORWARDED_SPANS.labels(reason).inc(spans)


class _FailedError(Exception):
    """The forwarder said that it can't work."""
