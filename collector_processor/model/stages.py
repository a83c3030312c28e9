"""What travels between the stages, in the order of the way: Fragment → SealedTask → Facts → PreparedBatch → Outcome.

Journalled identities are bytes (trace id 16, span id 8); times are integers of nanoseconds since the epoch.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum, IntFlag, StrEnum
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from collector_processor.model.facts import (
    Anomaly,
    Ending,
    EvaluationFact,
    ExecutionFact,
    Facts,
    Problem,
    RoutingFact,
    ToolCallFact,
)
from collector_processor.model.record import BenchmarkDataPoint
from collector_processor.model.sampling import Facet, SamplingState, Tally


class SpanKey(NamedTuple):
    """Identity of a span: everything is united and counted by it."""

    trace_id: bytes
    span_id: bytes

    @property
    def hex(self) -> str:
        """48 lower-case hex digits: the `fact_id` of what the span says."""
        return self.trace_id.hex() + self.span_id.hex()


class Signal(StrEnum):
    """OTLP signal that a request carries."""

    TRACES = "traces"
    LOGS = "logs"


# -- Receive ---------------------------------------------------------------------------------------


class Role(IntEnum):
    """What a span's header says it is: a closed enum of one byte, kept for every open span."""

    FOREIGN = 0
    TASK = 1
    LIFECYCLE = 2
    EVALUATION = 3


class Header(NamedTuple):
    """What the assembler knows of a span. `parent_id` is 8 zero bytes for a root; `size` its bytes on the wire.

    A log record stands among the spans of its trace as a child of the span that it names; its `span_id` is its
    `record_id`.
    """

    span_id: bytes
    parent_id: bytes
    role: Role
    size: int


def record_id(record: bytes) -> bytes:
    """Identity of a log record in its trace, where a span has its id: a hash of its bytes as they came."""
    return blake2b(record, digest_size=8).digest()


HEADER: Final = struct.Struct("<8s8sBI")
"""Packed form of a Header: 21 bytes a span."""


class FragmentFlag(IntFlag):
    """Facts about a fragment that its journal key carries, so that a start scans keys only.

    LOGS: it holds log records, and an evaluation among them counts as LIFECYCLE.
    """

    NONE = 0
    TASK = 1
    LIFECYCLE = 2
    LOGS = 4


class Fragment(NamedTuple):
    """One trace's share of a request.

    `payload` is a valid OTLP `TracesData` message, or with the flag LOGS a `LogsData`, that holds this trace's spans
    or log records only, in the order of `headers`, which are packed `HEADER` entries, one each. Resource and scope are
    kept byte for byte. From here on a log record is counted as a span is. `resource` is that of the first of them.
    """

    trace_id: bytes
    flags: FragmentFlag
    headers: bytes
    payload: bytes
    resource: bytes = b""


class Rejection(NamedTuple):
    """Spans that partial success reports: how many, and why (names the field and the bound)."""

    spans: int
    reason: str


class Split(NamedTuple):
    """A checked request: what is to be journalled, and what was refused span by span.

    Of log records, which are counted in `spans` too, `foreign` ones are no concern of tasks, and `traceless` ones would
    be but name no trace: neither is journalled.
    """

    fragments: Sequence[Fragment]
    spans: int
    rejections: Sequence[Rejection]
    foreign: int = 0
    traceless: int = 0


class Receipt(NamedTuple):
    """Answer to a request after it is durable: how many spans were refused, and the reasons in one text."""

    rejected: int
    message: str


class Intake(Protocol):
    """Where receivers hand a request to.

    Raises MalformedRequestError, RequestTooLargeError or OverloadedError; returns only when what was
    accepted is durable.
    """

    async def accept(self, body: bytes, signal: Signal) -> Receipt:
        """Check, journal and acknowledge one request in its protobuf form."""


# -- Journal ---------------------------------------------------------------------------------------


class SealKind(StrEnum):
    """Why spans were handed to a worker together."""

    TASK = "task"
    LATE = "late"
    ORPHAN = "orphan"


class Member(msgspec.Struct, frozen=True, array_like=True):
    """Spans of one journalled fragment: the fragment's sequence, its arrival (ns) and positions in it."""

    sequence: int
    arrived: int
    positions: tuple[int, ...]

    @property
    def mask(self) -> int:
        """The positions as a bit mask."""
        first, last = self.positions[0], self.positions[-1]
        if last - first + 1 == len(self.positions):  # as nearly always: all that the fragment has
            return ((1 << len(self.positions)) - 1) << first
        mask = 0
        for position in self.positions:
            mask |= 1 << position
        return mask


class SealedTask(msgspec.Struct, frozen=True, array_like=True):
    """Spans of one task whose content is fixed.

    `span_id` is the task span of kinds TASK and LATE; for ORPHAN it is empty and the members are lifecycle spans
    of one trace that found no task. `flags` of the task carry what the assembler noticed.
    """

    kind: SealKind
    trace_id: bytes
    span_id: bytes
    members: tuple[Member, ...]
    ended_by: Ending = Ending.TASK_ENDED
    truncated: bool = False
    children_given_away: bool = False
    cyclic: bool = False

    @property
    def spans(self) -> int:
        """How many spans it holds."""
        return sum([len(member.positions) for member in self.members])


class SealedBatch(msgspec.Struct, frozen=True, array_like=True):
    """A batch as it stands in the journal: the same bytes, the same identity, however often it is applied.

    `sampling` is what the sampling policies knew when it was sealed.
    """

    id: UUID
    sealed_at: int
    tasks: tuple[SealedTask, ...]
    sampling: SamplingState = SamplingState()

    @property
    def spans(self) -> int:
        """How many spans it holds."""
        return sum([task.spans for task in self.tasks])


class LinkReason(IntEnum):
    """Why a span left the journal without a record of its own: one byte in its link."""

    FOREIGN = 0
    TRUNCATED = 1
    GIVEN_AWAY = 2
    ERASED = 3
    SENT_AHEAD = 4


class Link(NamedTuple):
    """A span that left the journal: its parent stays known, so that a chain through it still holds.

    FOREIGN: no task claimed it. TRUNCATED: shed by a limit, so the record of the task above it is truncated.
    GIVEN_AWAY: a lifecycle span handed on without a task, so a task span that comes later is flagged.
    ERASED: somebody asked for it. SENT_AHEAD: an evaluation handed on before its task was seen, to which it comes in
    the database.
    """

    span_id: bytes
    parent_id: bytes
    reason: LinkReason


class Known(NamedTuple):
    """What the journal remembers of a trace beside its open spans: span → task span, and span → link."""

    closed: dict[bytes, bytes]
    links: dict[bytes, Link]


class Closing(NamedTuple):
    """A decision of the assembler, carried out by the journal in one transaction.

    `sealed` goes to a worker; `span_ids` (8 bytes each) are then remembered as belonging to it. `dropped` leave the
    journal now, `truncated` of their spans by a limit and the others because no task claims them. `links` stay
    behind for both. `size` is what the sealed spans have in bytes.
    """

    trace_id: bytes
    sealed: SealedTask | None
    span_ids: bytes
    dropped: tuple[Member, ...]
    links: tuple[Link, ...]
    truncated: int = 0
    size: int = 0


class Stored(NamedTuple):
    """A journalled fragment as the index knows it; `headers` are read again when they are needed."""

    sequence: int
    trace_id: bytes
    flags: FragmentFlag
    spans: int
    arrived: int


RawPart = tuple[int, bytes, tuple[int, ...]]
"""A fragment's share of a task: arrival (ns), payload, positions in it."""


class RawTask(NamedTuple):
    """A sealed task with its bytes, as a worker reads it: OTLP TracesData of its spans, LogsData of its log records."""

    sealed: SealedTask
    payloads: Sequence[RawPart]
    logs: Sequence[RawPart] = ()


# -- Convert and guard -----------------------------------------------------------------------------


LifecycleFact = RoutingFact | ExecutionFact | ToolCallFact | EvaluationFact


class Undecodable(NamedTuple):
    """A span or log record that can't be read: its identity, its bytes, and why."""

    key: SpanKey
    raw: bytes
    reason: str


class Stray(NamedTuple):
    """A lifecycle fact without a task span above it, and what may lead to its task.

    `namespace` and `tenant` narrow the search by task id; `tenant` is hashed by the guard before it is stored.
    `anomalies` tell what was cleaned in its span: they go with it to its record.
    """

    key: SpanKey
    parent_id: bytes
    fact: LifecycleFact
    namespace: str | None
    tenant: str | None
    anomalies: tuple[Anomaly, ...] = ()


class Converted(NamedTuple):
    """What conversion makes of one sealed task.

    `facts` for kinds TASK and LATE (without the task fact for LATE), `strays` for ORPHAN. `spans` counts all the
    spans behind it, undecodable ones excepted; those without a fact of their own (foreign ones) included. `tenant`
    is the one that the spans of a LATE part name, hashed by the guard before it is stored: its pseudonyms are to be
    those of its record.
    """

    sealed: SealedTask
    facts: Facts | None
    strays: Sequence[Stray]
    undecodable: Sequence[Undecodable]
    spans: int
    tenant: str | None = None


class Disclosure(NamedTuple):
    """What the privacy pass found in one field of one span, or had to leave out of it: never the text itself.

    `problem` is REDACTED for what was replaced, PERSONAL_DATA or CREDENTIAL for what stands in the record still,
    TEXT_WITHHELD for a text that was left out. `type` says what it is (`EMAIL`) or why it was left out (`too_long`),
    `times` how often.
    """

    span_id: str
    field: str
    problem: Problem
    type: str
    times: int = 1


class Mended(NamedTuple):
    """Stored facts as they may stay, and what was wrong with them, by type.

    `found` stood in them (`EMAIL`), `withheld` are texts that nobody could read (`too_deep`). `samples` are contents of
    a record's deep samples as they may stay, by facet: of those in which something was wrong too.
    """

    facts: Facts
    found: Mapping[str, int]
    withheld: Mapping[str, int]
    samples: Mapping[str, Any] = MappingProxyType({})


PrivacyKeys = tuple[tuple[str, bytes], ...]
"""Keys of pseudonyms with their ids, the current one first."""


class Redactions(msgspec.Struct, frozen=True):
    """What the privacy pass did: texts that it searched, places replaced by category, texts withheld by reason."""

    texts: int = 0
    replaced: dict[str, int] = {}
    withheld: dict[str, int] = {}

    def plus(self, more: Redactions) -> Redactions:
        """Both together."""
        return Redactions(
            self.texts + more.texts,
            dict(Counter(self.replaced) + Counter(more.replaced)),
            dict(Counter(self.withheld) + Counter(more.withheld)),
        )


class GuardedPoint(NamedTuple):
    """A data point whose verdict is set and whose texts have passed the guard: the only kind that is stored."""

    point: BenchmarkDataPoint


Revise = Callable[[UUID, Facts, int], GuardedPoint]
"""(point id, facts, revision) → the folded and judged record: the store calls it where it unites facts."""


class Chosen(NamedTuple):
    """A record with the deep facets that are kept of it, those `added` now, and what policies learn of it."""

    point: BenchmarkDataPoint
    added: tuple[Facet, ...]
    tally: Tally


Choose = Callable[[BenchmarkDataPoint, BenchmarkDataPoint | None], Chosen]
"""(judged record, the one that it revises) → what is kept of it, by what was sealed with its batch."""


class Sampling(Protocol):
    """How the store has deep facets chosen."""

    def choosing(self, state: SamplingState) -> Choose:
        """Decide by what the policies knew when a batch was sealed."""

    def total(self, tallies: Iterable[Tally]) -> Tally:
        """Add up what policies learn."""


# -- Store -----------------------------------------------------------------------------------------


class Refused(msgspec.Struct, frozen=True):
    """A task that can't be converted or that the database won't take: a dead letter, with the error."""

    trace_id: bytes
    span_id: bytes
    spans: int
    error: str


class Due(msgspec.Struct, frozen=True, array_like=True):
    """Deep facets that were kept of the task with this span, and are to be computed now that it is stored."""

    trace_id: bytes
    span_id: bytes
    facets: tuple[Facet, ...]


class PreparedBatch(NamedTuple):
    """What a worker gives to the store: protected facts, ready to fold, and what conversion refused already."""

    id: UUID
    tasks: Sequence[Converted]
    refused: Sequence[Refused] = ()
    sampling: SamplingState = SamplingState()


class Applied(msgspec.Struct, frozen=True):
    """A batch's ledger row: every span of the batch is in exactly one of the first six counts.

    It is written in the transaction that stores the batch, and it alone tells the journal what became of the
    spans, also after a crash between the two.
    """

    in_points: int = 0
    duplicate: int = 0
    orphaned: int = 0
    discarded: int = 0
    erased: int = 0
    undecodable: int = 0
    accepted: int = 0
    quarantined: int = 0
    revised: int = 0
    joined: int = 0
    refused: tuple[Refused, ...] = ()
    analyses: tuple[Due, ...] = ()
    sampling: Tally = Tally()
    undecodable_spans: tuple[tuple[bytes, bytes, bytes, str], ...] = ()
    """(trace id, span id, raw span, reason): the front keeps them in the journal, never in SQL."""


# -- Forward ---------------------------------------------------------------------------------------


class Standing(NamedTuple):
    """How a task's record stands in the database: it decides about its spans, and goes with them.

    `shown` is False where no view shows the record to readers: it was discarded, or withheld by a critical gate.
    """

    id: UUID
    state: str
    valid: bool
    outcome: str | None
    score: float | None
    gates_failed: tuple[str, ...]
    shown: bool


class Keep(msgspec.Struct, frozen=True):
    """Tasks that are forwarded whatever the ratio: with an outcome, or in a state, or with a score below a bound."""

    outcomes: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    score_below: float | None = None


class Departure(NamedTuple):
    """Foreign spans around a trace's tasks as they leave the journal: OTLP TracesData, and the positions in it.

    The payload is empty where it was not read.
    """

    trace_id: bytes
    payload: bytes
    positions: tuple[int, ...]
