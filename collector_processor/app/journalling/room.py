"""Room in the journal and in memory: who is refused when it gets short, and what is shed before that.

Three things have a limit: bytes of the journal (and a service's share of them), open spans and open traces, which cost
memory. From `SHED_FROM` of a limit on foreign spans are shed until `SHED_TO` is left, so that lifecycle spans, which
alone let tasks end, have room. Above `FOR_ALL` only requests that hold a task's own span are taken. Used in the
journal's commit thread alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from collector_processor.app.journalling.ledger import Service
from collector_processor.app.journalling.shares import Shares
from collector_processor.assemble.assembler import Assembler
from collector_processor.assemble.shedding import Excess
from collector_processor.config import Settings
from collector_processor.errors import JournalFullError
from collector_processor.journal.shedding import Left
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Closing, Fragment, FragmentFlag, Split

FOR_ALL: Final = 0.9
SHED_FROM: Final = 0.85
SHED_TO: Final = 0.8


class Room:
    """One per journal.

    Args:
        settings: the limits.
        assembler: knows what is open.
        shares: knows what services hold.

    Attributes:
        pressed: somebody was refused, or something was shed, since room was last looked for: now down to `SHED_TO`.
    """

    def __init__(self, settings: Settings, assembler: Assembler, shares: Shares) -> None:
        self._max_bytes = settings.journal_max_bytes
        self._max_spans = settings.max_open_spans
        self._max_traces = settings.max_open_traces
        self._assembler = assembler
        self._shares = shares
        self.pressed = False

    # -- Refusing --------------------------------------------------------------------------------------------

    def check(self, transaction: Transaction, split: Split, staged: Collection[bytes]) -> None:
        """See that a request has room; `staged` are traces that this commit has brought already.

        Raises:
            JournalFullError: it hasn't; nothing has changed.
        """
        try:
            self._check(transaction, split, staged)
        except JournalFullError:
            self.pressed = True
            raise

    def _check(self, transaction: Transaction, split: Split, staged: Collection[bytes]) -> None:
        part = 1.0 if any(fragment.flags & FragmentFlag.TASK for fragment in split.fragments) else FOR_ALL
        used, limit = transaction.filled, int(self._max_bytes * part)
        if used + sum(map(_size, split.fragments)) > limit:
            raise JournalFullError(
                f"the journal is full ({used} of {self._max_bytes} bytes): "
                "the database is behind or down, or JOURNAL_MAX_BYTES is too small"
            )
        spans = transaction.counters.open
        if spans + split.spans > self._max_spans * part:
            raise JournalFullError(f"{spans} spans are open, and {self._max_spans} may be (MAX_OPEN_SPANS): come back")
        traces = self._assembler.open_traces
        if traces + len(staged) + len(split.fragments) > self._max_traces * part:
            coming = self._assembler.fresh({*staged, *(fragment.trace_id for fragment in split.fragments)})
            if coming and traces + coming > self._max_traces * part:
                raise JournalFullError(
                    f"{traces} traces are open, and {self._max_traces} may be (MAX_OPEN_TRACES): come back"
                )
        self._shares.check(transaction, split.fragments, limit)

    # -- Shedding --------------------------------------------------------------------------------------------

    def make(self, transaction: Transaction) -> list[Closing]:
        """What is to be shed now; nothing while there is room, or where nothing can be."""
        mark, self.pressed = SHED_TO if self.pressed else SHED_FROM, False
        counters = transaction.counters
        spans, traces, used = counters.open, self._assembler.open_traces, transaction.filled
        services: Mapping[Service, int] = {}
        if traces > mark * self._max_traces:
            excess = Excess(traces=int(traces - SHED_TO * self._max_traces))
        elif spans > mark * self._max_spans:
            excess = Excess(spans=int(spans - SHED_TO * self._max_spans))
        elif services := self._shares.over_spans(
            mark / FOR_ALL, SHED_TO / FOR_ALL, spans, int(self._max_spans * FOR_ALL)
        ):
            excess = Excess(spans=sum(services.values()))
        elif counters.sealed > counters.open:
            return []  # it is the database that is waited for
        elif used > mark * self._max_bytes:
            excess = Excess(bytes=int(used - SHED_TO * self._max_bytes))
        else:
            services = self._shares.over(mark / FOR_ALL, SHED_TO / FOR_ALL, used, int(self._max_bytes * FOR_ALL))
            excess = Excess(bytes=sum(services.values()))
        if not any(excess):
            return []
        return self._assembler.excessive(excess, self._shares.sizes(services or None), transaction)

    def made(self, closings: Sequence[Closing], left: Mapping[int, Left], now: int) -> None:
        """That has been shed (ns); `left` is what fragments that stay have, by sequence."""
        self._assembler.relieved(closings, now)
        self._shares.shrunk(left)
        self.pressed = self.pressed or bool(closings)


def _size(fragment: Fragment) -> int:
    return len(fragment.headers) + len(fragment.payload)
