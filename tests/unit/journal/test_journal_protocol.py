"""The journal's promise, driven through crashes and resends: every acknowledged span is in exactly one place.

The real front, journal and assembler against the simple truth. The database is a ledger in memory, because what
matters here is who acts on it when; the store has contract tests of its own on a real PostgreSQL.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.spans import Piece, request

from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import SECOND, Waiting
from collector_processor.app.reporting.equations import deep_samples
from collector_processor.assemble.messages import RawTraces
from collector_processor.config import Settings
from collector_processor.journal import analyses, cipher, rows
from collector_processor.journal.analyses import Analysed
from collector_processor.journal.format import KEPT, epoch_of
from collector_processor.journal.reader import read_batch, read_task, rows_of
from collector_processor.journal.transaction import Transaction
from collector_processor.model.sampling import Facet
from collector_processor.model.stages import HEADER, Applied, Due, SealedBatch, SealKind, Signal, SpanKey

TREE = [
    Piece(1, 1, 0, "task", "outer"),
    Piece(1, 2, 1, "route", "outer"),
    Piece(1, 3, 1, "execution", "outer"),
    Piece(1, 4, 3, "tool", "outer"),
    Piece(1, 5, 3, "foreign"),
    Piece(1, 6, 3, "task", "inner"),
    Piece(1, 7, 6, "execution", "inner"),
    Piece(1, 8, 7, "foreign"),
    Piece(2, 1, 0, "evaluation", "outer"),
    Piece(3, 1, 0, "foreign"),
    Piece(3, 2, 1, "foreign"),
    Piece(4, 2, 9, "tool", "never"),
]
BY_KEY = {SpanKey(piece.trace_id, piece.span_id): piece for piece in TREE}


class Ledger:
    """A database that applies a batch in one step and remembers the outcome."""

    def __init__(self) -> None:
        self.rows: dict[UUID, Applied] = {}
        self.points: dict[SpanKey, set[SpanKey]] = {}
        self.orphans: set[SpanKey] = set()
        self.kept: set[SpanKey] = set()
        self.analysed: set[SpanKey] = set()

    def apply(self, batch: SealedBatch, spans: dict[int, list[SpanKey]]) -> Applied:
        if batch.id in self.rows:
            return self.rows[batch.id]
        counts: Counter[str] = Counter()
        dues: list[Due] = []
        for task in batch.tasks:
            keys = [spans[member.sequence][position] for member in task.members for position in member.positions]
            if task.kind is SealKind.ORPHAN:
                stored = self.stored()
                for key in keys:
                    counts["duplicate" if key in stored else "orphaned"] += 1
                    self.orphans.add(key) if key not in stored else None
                continue
            point = SpanKey(task.trace_id, task.span_id)
            if task.kind is SealKind.TASK and point not in self.points:
                counts["accepted"] += 1
                dues.append(Due(*point, (Facet.JUDGE, Facet.AST)))
            facts = self.points.setdefault(point, set())
            for key in keys:
                counts["duplicate" if key in self.stored() else "in_points"] += 1
                facts.add(key) if key not in self.stored() else None
        self.rows[batch.id] = applied = Applied(**counts, analyses=tuple(dues))
        self.kept |= {SpanKey(due.trace_id, due.span_id) for due in dues}
        return applied

    def stored(self) -> set[SpanKey]:
        return self.orphans.union(*self.points.values())


class JournalProtocol(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        # Epochs pass with every few rules, and what is left of one is moved as soon as anything of it has gone.
        self.hurry = patch.object(cipher, "EPOCH_NS", 5 * SECOND), patch.object(rows, "MOVED_SHARE", 1)
        for each in self.hurry:
            each.start()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.now = 1_760_000_000 * SECOND
        self.database = Ledger()
        self.acknowledged: set[SpanKey] = set()
        self.sent = 0
        self.aged = False
        self._start()

    def _start(self) -> None:
        self.waiting: list[Waiting] = []
        self.applied: list[tuple[UUID, Applied]] = []
        settings = Settings(data_dir=self.folder, flush_records=2, flush_interval=5.0, journal_max_bytes=1 << 20)
        self.front = Front(settings, self.waiting.extend, lambda: self.now)
        self.loop.run_until_complete(self.front.recover())

    def teardown(self) -> None:
        if hasattr(self, "front"):
            self.drain()
            needed = self._ask(self._rows_by_epoch)
            self.loop.run_until_complete(self.front.stop())
            self.loop.close()
            assert self.front._environment.keys.epochs() == set(needed)
            shutil.rmtree(self.folder)
            for each in self.hurry:
                each.stop()

    # -- What happens ----------------------------------------------------------------------------------------

    @rule(chosen=st.lists(st.sampled_from(TREE), min_size=1, max_size=6))
    def send(self, chosen: list[Piece]) -> None:
        self.loop.run_until_complete(self.front.accept(request(chosen), Signal.TRACES))
        self.sent += len(chosen)
        self.acknowledged.update(SpanKey(piece.trace_id, piece.span_id) for piece in chosen)

    @rule(first=st.lists(st.sampled_from(TREE), min_size=1, max_size=4), again=st.booleans())
    def send_two_at_once(self, first: list[Piece], again: bool) -> None:
        """Both are in one group commit: the second is judged before the first one's index entry exists."""
        second = first if again else first[::-1]

        async def both() -> None:
            requests = (self.front.accept(request(part), Signal.TRACES) for part in (first, second))
            await asyncio.gather(*requests)

        self.loop.run_until_complete(both())
        self.sent += len(first) + len(second)
        self.acknowledged.update(SpanKey(piece.trace_id, piece.span_id) for piece in first)

    @rule(seconds=st.sampled_from([1, 6, 11, 61]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND
        self.loop.run_until_complete(self.front.tick())

    @rule(seconds=st.sampled_from([16 * 60, 25 * 3600]))
    def much_time_passes(self, seconds: int) -> None:
        self.aged = True
        self.time_passes(seconds)

    @rule(what=st.sampled_from(["_max_bytes", "_max_spans", "_max_traces"]), limit=st.integers(1, 12))
    def room_gets_short(self, what: str, limit: int) -> None:
        """Foreign spans of open traces are shed, in one commit or several."""
        room = self.front._room
        enough = getattr(room, what)
        setattr(room, what, limit)
        while True:
            self.now += SECOND
            if not self.loop.run_until_complete(self.front._shedding.due()):
                break
        setattr(room, what, enough)

    @rule()
    def flush(self) -> None:
        self.loop.run_until_complete(self.front.flush())

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def worker_stores_a_batch(self, data: st.DataObject) -> None:
        taken = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        found = self._ask(lambda transaction: self._read(transaction, taken.id))
        if found is not None:
            self.applied.append((taken.id, self.database.apply(*found)))

    @precondition(lambda self: self.applied)
    @rule()
    def worker_reports(self) -> None:
        self.loop.run_until_complete(self.front.complete(*self.applied.pop(0)))

    @precondition(lambda self: self.applied)
    @rule()
    def worker_dies_after_its_commit(self) -> None:
        batch_id, applied = self.applied.pop(0)
        self.waiting.append(Waiting(batch_id, self.now, 0, 0))
        assert self.database.rows[batch_id] == applied

    @rule(tells=st.booleans())
    def analyst_stores_the_oldest(self, tells: bool) -> None:
        """Or dies before the front knows: then it is done again, which the database notices."""
        found = self._ask(lambda transaction: next(analyses.pending(transaction.view), None))
        if found is None:
            return
        number, analysis = found
        self._ask(lambda transaction: read_task(transaction.view, analysis.task))
        self.database.analysed.add(SpanKey(analysis.trace_id, analysis.span_id))
        if tells:
            self.loop.run_until_complete(self.front.analysed([Analysed(number)]))

    @rule()
    def front_dies(self) -> None:
        """What LMDB has committed is all that is left; nothing is written on the way out."""
        self.front._commit.stop()
        self.front._environment._lmdb.close()
        os.close(self.front._environment._lock)
        self._start()

    # -- What must hold --------------------------------------------------------------------------------------

    @staticmethod
    def _read(transaction: Transaction, batch_id: UUID) -> tuple[SealedBatch, dict[int, list[SpanKey]]] | None:
        batch = read_batch(transaction.view, batch_id)
        if batch is None:
            return None
        spans = JournalProtocol._spans(transaction, batch)
        for task in batch.tasks:
            for member, (_, payload, positions) in zip(
                task.members, read_task(transaction.view, task).payloads, strict=True
            ):
                (resource,) = RawTraces.FromString(payload).resource_spans
                (scope,) = resource.scope_spans
                for position in positions:
                    piece = BY_KEY[spans[member.sequence][position]]
                    assert scope.spans[position] == piece.message().SerializeToString()
        return batch, spans

    @staticmethod
    def _spans(transaction: Transaction, batch: SealedBatch) -> dict[int, list[SpanKey]]:
        return {
            member.sequence: [
                SpanKey(task.trace_id, header[0]) for header in HEADER.iter_unpack(transaction.headers(member.sequence))
            ]
            for task in batch.tasks
            for member in task.members
        }

    def _ask(self, question):
        return self.loop.run_until_complete(self.front.run(question))

    def _places(self, transaction: Transaction) -> Counter[SpanKey]:
        """Where every span is: open in the journal, sealed and not applied, or in the database."""
        places: Counter[SpanKey] = Counter()
        gone = transaction.taken()
        for _, analysis in analyses.pending(transaction.view):
            for member in analysis.members:
                gone[member.sequence] = gone.get(member.sequence, 0) | member.mask
        for stored in transaction.fragments():
            taken = gone.get(stored.sequence, 0)
            for position, header in enumerate(HEADER.iter_unpack(transaction.headers(stored.sequence))):
                if not taken >> position & 1:
                    places[SpanKey(stored.trace_id, header[0])] += 1
        for batch in transaction.sealed_batches():
            if batch.id in self.database.rows:
                spans = self._spans(transaction, batch)
                for task in batch.tasks:
                    for member in task.members:
                        for position in member.positions:
                            places[spans[member.sequence][position]] -= 1
        for key in self.database.stored():
            places[key] += 1
        return places

    @invariant()
    def every_acknowledged_span_is_in_exactly_one_place(self) -> None:
        if not hasattr(self, "front"):
            return
        places = self._ask(self._places)
        foreign_gone = self.front.counters.foreign + self.front.counters.shed > 0
        for key in self.acknowledged:
            if BY_KEY[key].kind == "foreign" and foreign_gone and places[key] == 0:
                continue
            # Resends of what left the journal's memory long ago are there until they are applied.
            assert places[key] == 1 or (self.aged and places[key] > 1), (BY_KEY[key], places[key])

    @invariant()
    def the_equation_balances(self) -> None:
        if not hasattr(self, "front"):
            return
        counters = self.front.counters
        assert counters.received == self.sent
        assert counters.received == (
            counters.duplicate
            + counters.open
            + counters.sealed
            + counters.foreign
            + counters.shed
            + counters.handed_over
        )

    @invariant()
    def every_sample_that_was_kept_is_pending_or_stored(self) -> None:
        if not hasattr(self, "front"):
            return
        assert deep_samples(self.front.counters).missing == 0
        missing = self.database.kept - self.database.analysed
        if missing:
            assert missing <= self._ask(self._awaiting_analysis)

    @staticmethod
    def _awaiting_analysis(transaction: Transaction) -> set[SpanKey]:
        """Those of pending analyses, and of batches of which the front doesn't know yet that they are stored."""
        pending = {SpanKey(each.trace_id, each.span_id) for _, each in analyses.pending(transaction.view)}
        sealed = [task for batch in transaction.sealed_batches() for task in batch.tasks]
        return pending | {SpanKey(task.trace_id, task.span_id) for task in sealed}

    @invariant()
    def the_tally_of_epochs_is_what_the_rows_say_and_no_key_is_missing(self) -> None:
        if not hasattr(self, "front"):
            return
        live = self._ask(self._rows_by_epoch)
        tally = self.front._commit.epochs
        assert {number: epoch.live for number, epoch in tally.items() if epoch.live} == live
        assert set(live) <= self.front._environment.keys.epochs()

    @staticmethod
    def _rows_by_epoch(transaction: Transaction) -> Counter[int]:
        databases = (transaction._dbs[name] for name in ("spans", *KEPT))
        return Counter(epoch_of(key) for database in databases for key, _ in rows_of(transaction._txn, database))

    def drain(self) -> None:
        """All that can be stored is stored; then each lifecycle span is with its task, or an orphan."""
        for _ in range(4):
            self.time_passes(61)
            while self.waiting:
                found = self._ask(lambda transaction: self._read(transaction, self.waiting[0].id))
                if found is not None:
                    self.applied.append((self.waiting[0].id, self.database.apply(*found)))
                self.waiting.pop(0)
            while self.applied:
                self.worker_reports()
        while found := self._ask(lambda transaction: next(analyses.pending(transaction.view), None)):
            self.loop.run_until_complete(self.front.analysed([Analysed(found[0])]))
        assert self.front.counters.analysis_bytes == self.front.counters.samples_pending == 0
        if self.aged:
            return
        outer, inner = (SpanKey(TREE[index].trace_id, TREE[index].span_id) for index in (0, 5))
        for point, members in self.database.points.items():
            for key in members - {point}:
                assert _task_above(key, self.acknowledged) == point
        for key in (outer, inner):
            if key in self.acknowledged:
                assert key in self.database.points


def _task_above(key: SpanKey, seen: set[SpanKey]) -> SpanKey | None:
    piece = BY_KEY[key]
    while piece.parent:
        above = SpanKey(piece.trace_id, piece.parent.to_bytes(8, "big"))
        if above not in seen:
            return None
        piece = BY_KEY[above]
        if piece.kind == "task":
            return above
    return None


TestJournalProtocol = JournalProtocol.TestCase
TestJournalProtocol.settings = hypothesis_settings(max_examples=30, stateful_step_count=30, deadline=None)
