"""Erase what the journal holds of somebody, step by step, so that no request waits for the whole of it.

Open spans go with all that belongs to the same task; dead letters, undecodable spans and pending analyses go whole.
Sealed tasks can't: a worker may be reading them. For these, as for tasks whose own span is still to come, the database
gets tombstones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from collector_processor.app.journalling.running import Run
from collector_processor.app.journalling.subject import Subject
from collector_processor.assemble.assembler import Assembler
from collector_processor.assemble.closing import erased
from collector_processor.assemble.tree import OpenSpan, Place
from collector_processor.errors import DamagedEntryError
from collector_processor.journal import analyses, kept
from collector_processor.journal.format import DeadLetter
from collector_processor.journal.reader import read_task
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Closing, FragmentFlag, RawTask, SealedTask, SealKind, SpanKey

STEP_BYTES: Final = 8 << 20
"""What one commit reads, …"""
SEARCHED_BYTES: Final = 1 << 20
"""… and where every text of it is searched for a person: 0.2 s, while requests wait."""
_LEAST_BYTES: Final = 1000
"""What a trace counts for, however small it is."""
_TASKS: Final = frozenset({Place.TASK, Place.CLOSED, Place.WAITING})
"""What a tombstone may stand for: a span that is a task's, or may turn out to be one."""


class Withdrawn(NamedTuple):
    """What has gone, by place, and the tasks that must not come back. `waiting` strays are still sealed.

    `analyses` are the numbers of those that went: whoever has one in hand must let go of it.
    """

    removed: dict[str, int]
    tasks: Sequence[SpanKey]
    waiting: int
    analyses: Sequence[int] = ()


class Withdrawal:
    """One erasure in the journal of a running processor, or of a command that holds the journal.

    Args:
        run: of the front.
        assembler: its index, touched only inside `run`.
        subject: whose data.
        dry: only look.
    """

    def __init__(self, run: Run, assembler: Assembler, subject: Subject, *, dry: bool) -> None:
        self._run = run
        self._assembler = assembler
        self._subject = subject
        self._dry = dry
        self._step = SEARCHED_BYTES if subject.searches else STEP_BYTES
        self._removed: Counter[str] = Counter()
        self._tasks: dict[SpanKey, None] = {}
        self._waiting = 0
        self._analyses: list[int] = []

    async def carry_out(self, now: int, until: int) -> Withdrawn:
        """Do it; links of what goes are remembered until then (ns). Raises JournalError."""
        traces: Sequence[bytes] = await self._run(lambda _: self._assembler.traces())
        while traces:
            look = partial(self._open, traces=traces, until=until)
            _, traces = await self._run(look, lambda done: self._carried_out(done, now))
        sealed: Sequence[SealedTask] = await self._run(_sealed_tasks)
        while sealed:
            sealed = await self._run(partial(self._look_at_sealed, tasks=sealed))
        await self._run(self._kept)
        looked_at: int | None = 0
        while looked_at is not None:
            looked_at = await self._run(partial(self._pending, after=looked_at))
        return Withdrawn(dict(+self._removed), [*self._tasks], self._waiting, tuple(self._analyses))

    # -- Open spans ------------------------------------------------------------------------------------------

    def _open(
        self, transaction: Transaction, traces: Sequence[bytes], until: int
    ) -> tuple[list[Closing], Sequence[bytes]]:
        """Look at traces until enough is read; what goes of them, and the traces that are left."""
        closings: list[Closing] = []
        room, looked_at = self._step, 0
        for trace_id in traces:
            if room < 0:
                break
            looked_at += 1
            groups = self._assembler.groups(trace_id, transaction)
            everything = [span for group in groups.values() for span in group]
            room -= sum(span.size for span in everything) + _LEAST_BYTES
            named = self._named(transaction, everything)
            for owner, spans in groups.items():
                if not any(span.span_id in named for span in spans):
                    continue
                closings.append(erased(trace_id, spans))
                self._removed["open_spans"] += len(spans)
                if owner.place in _TASKS:
                    self._tasks[SpanKey(trace_id, owner.span_id)] = None
        if not self._dry:
            transaction.erase_open(closings, until)
        return closings, traces[looked_at:]

    def _carried_out(self, done: tuple[list[Closing], Sequence[bytes]], now: int) -> None:
        if not self._dry:
            self._assembler.carried_out(done[0], now)

    def _named(self, transaction: Transaction, spans: Sequence[OpenSpan]) -> set[bytes]:
        """Ids of the spans that name the subject."""
        places = {(span.sequence, span.position): span.span_id for span in spans}
        named: set[bytes] = set()
        for sequence in {span.sequence for span in spans}:
            try:
                logs = bool(transaction.flags(sequence) & FragmentFlag.LOGS)
                payload = transaction.payload(sequence)
            except DamagedEntryError:
                continue
            for position in self._subject.is_named_in(payload, logs=logs):
                if (sequence, position) in places:
                    named.add(places[sequence, position])
        return named

    # -- Sealed and kept -------------------------------------------------------------------------------------

    def _look_at_sealed(self, transaction: Transaction, tasks: Sequence[SealedTask]) -> Sequence[SealedTask]:
        """Look at sealed tasks until enough is read; those that are left."""
        room = self._step
        for number, task in enumerate(tasks):
            if room < 0:
                return tasks[number:]
            raw = _read(transaction, task)  # none where it was stored meanwhile: then the database knows of it
            room -= _cost(raw)
            if not self._subject.is_sealed_in(raw):
                continue
            self._removed["sealed_spans"] += task.spans
            if task.kind is SealKind.ORPHAN:
                self._waiting += task.spans
            else:
                self._tasks[SpanKey(task.trace_id, task.span_id)] = None
        return ()

    # -- Analyses --------------------------------------------------------------------------------------------

    def _pending(self, transaction: Transaction, after: int) -> int | None:
        """Look at analyses until enough is read; the last one's number, None where there are no more."""
        room = self._step
        named: list[int] = []
        number: int | None
        for number, analysis in analyses.pending(transaction.view, after):
            raw = _read(transaction, analysis.task)
            if self._subject.is_sealed_in(raw):
                named.append(number)
                self._removed["pending_analyses"] += 1
            room -= _cost(raw)
            if room < 0:
                break
        else:
            number = None
        if not self._dry:
            for each in named:
                analyses.erase(transaction, each)
            self._analyses += named
        return number

    def _kept(self, transaction: Transaction) -> None:
        if self._dry:
            items = [item for name in ("dead", "undecodable") for _, item in kept.read(transaction.view, name)]
            gone = [item for item in items if self._subject.is_kept_in(item)]
        else:
            gone = transaction.erase_kept(self._subject.is_kept_in)
        for item in gone:
            if isinstance(item, DeadLetter):
                self._removed["dead_letters"] += 1
                task = kept.task_of(item)
                if task.kind is SealKind.TASK:
                    self._tasks[SpanKey(task.trace_id, task.span_id)] = None
            else:
                self._removed["undecodable_spans"] += 1


def _sealed_tasks(transaction: Transaction) -> Sequence[SealedTask]:
    return [task for batch in transaction.sealed_batches() for task in batch.tasks]


def _read(transaction: Transaction, task: SealedTask) -> RawTask:
    """A task's bytes; none where they can't be read: who can't, finds nobody in them."""
    try:
        return read_task(transaction.view, task)
    except DamagedEntryError:
        return RawTask(task, ())


def _cost(raw: RawTask) -> int:
    return sum(len(payload) for _, payload, _ in (*raw.payloads, *raw.logs)) + _LEAST_BYTES
