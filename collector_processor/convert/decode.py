"""A sealed task's bytes → its decoded spans and log records: those that may say something, and as deep as needed.

A span that mentions no name of a convention is foreign: it is counted, and its header is read only where a chain of
parents leads through it; of log records evaluations alone are decoded. What can't be decoded is kept raw and harms
nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from collector_processor.convert import messages
from collector_processor.convert.values import MAX_ITEMS, Attributes
from collector_processor.errors import DamagedEntryError, UndecodableSpanError
from collector_processor.model.facts import Anomaly, Problem
from collector_processor.model.otlp import Origin, entries_of
from collector_processor.model.stages import RawTask, SpanKey, Undecodable, record_id
from collector_processor.model.times import to_text
from otel_benchmark import attributes as a

STATUS_OK: Final = 1
STATUS_ERROR: Final = 2

_Mark = TypeVar("_Mark")
_NO_SPAN: Final = bytes(8)
_EVALUATES: Final = a.GEN_AI_EVALUATION_EVENT.encode()
_FEEDBACK: Final = b"ation.name"
"""The end of all `OPENINFERENCE_FEEDBACK_NAMES`: sought first, since each search costs a foreign span 0.3 µs."""
_EVALUATED, _ANNOTATED = (f"s.0{name}".encode() for name in a.OPENINFERENCE_FEEDBACK_NAMES)
"""What every first result has in its name: the end alone is that of `gen_ai.operation.name` too."""


Head = tuple[str, str, str, str | None, str, str]
"""What every fact begins with: fact id, trace id, span id, parent's span id, start, end."""


class Span:
    """A decoded span.

    Ids are bytes and, as `*_hex`, hex; a root's `parent_id` is empty. Times, arrival included, are nanoseconds.
    """

    __slots__ = (
        "arrived",
        "attributes",
        "end",
        "message",
        "origin",
        "parent_hex",
        "parent_id",
        "raw",
        "rest",
        "span_hex",
        "span_id",
        "start",
        "word",
    )

    def __init__(self, raw: bytes, origin: Origin, arrived: int, problems: list[Anomaly]) -> None:
        self.raw = raw
        self.arrived = arrived
        self.message = message = _parse(messages.Span, raw)
        self.origin = origin
        self.span_id: bytes = message.span_id
        self.span_hex = self.span_id.hex()
        parent_id: bytes = message.parent_span_id
        self.parent_id = b"" if parent_id == _NO_SPAN else parent_id
        self.parent_hex = self.parent_id.hex() or None
        self.word, _, self.rest = message.name.partition(" ")
        """First word of the name, which tells what the span claims to be, and what follows it."""
        self.start: int = message.start_time_unix_nano
        self.end: int = message.end_time_unix_nano
        self.attributes = Attributes(messages.span_attributes(message, raw), self.span_hex, problems)

    def head(self, trace_id: str) -> Head:
        """Return the first fields of this span's fact."""
        span_id = self.span_hex
        return (trace_id + span_id, trace_id, span_id, self.parent_hex, to_text(self.start), to_text(self.end))

    def events(self, name: str) -> list[Any]:
        """Return the first `MAX_ITEMS` events of one name, in the order of the span."""
        events = self.message.events
        if not events:
            return []
        events = [event for event in events if event.name == name]
        if len(events) > MAX_ITEMS:
            self.attributes.flag(name, Problem.SHORTENED, f"{len(events)} events, {MAX_ITEMS} kept")
        return events[:MAX_ITEMS]


class Record:
    """A decoded log record that is an event. `span_id` is the span that it names, empty where it names none."""

    __slots__ = ("arrived", "attributes", "message", "name", "origin", "raw", "span_id", "time")

    def __init__(self, raw: bytes, origin: Origin, arrived: int, problems: list[Anomaly]) -> None:
        self.raw = raw
        self.arrived = arrived
        self.message = message = _parse(messages.LogRecord, raw)
        self.origin = origin
        span_id: bytes = message.span_id
        self.span_id = span_id if len(span_id) == len(_NO_SPAN) and span_id != _NO_SPAN else b""
        self.time: int = message.time_unix_nano or message.observed_time_unix_nano
        """When it happened, ns; 0 where the record doesn't say."""
        self.attributes = Attributes(
            {item.key: item.value for item in message.attributes}.get, self.span_id.hex(), problems
        )
        self.name: str | None = message.event_name or self.attributes.text(a.EVENT_NAME)


class Decoded(NamedTuple):
    """What was found in a sealed task: `spans` by id in order of arrival, the first of two with one id.

    `foreign` are the raw bytes of the rest, `records` its log records that evaluate. `total` counts every span and log
    record but the undecodable ones. `problems` is filled while attributes are read.
    """

    spans: dict[bytes, Span]
    foreign: Sequence[bytes]
    undecodable: Sequence[Undecodable]
    problems: list[Anomaly]
    total: int
    records: Sequence[Record] = ()


def decode(task: RawTask) -> Decoded:
    """Decode a task's spans and log records as far as needed.

    Raises:
        DamagedEntryError: a payload is no OTLP or has nothing at a position, so the journal's entry is not
            what was written.
    """
    spans: dict[bytes, Span] = {}
    foreign: list[bytes] = []
    undecodable: list[Undecodable] = []
    problems: list[Anomaly] = []
    total = 0
    for arrived, payload, positions in task.payloads:
        for origin, raw in _select(payload, positions):
            total += 1
            if not (b"arbiter." in raw or b"gen_ai." in raw or has_feedback(raw)):
                foreign.append(raw)
                continue
            try:
                span = Span(raw, origin, arrived, problems)
            except UndecodableSpanError as error:
                span_id = messages.Header.FromString(raw).span_id
                undecodable.append(Undecodable(SpanKey(task.sealed.trace_id, span_id), raw, str(error)))
                foreign.append(raw)
                continue
            spans.setdefault(span.span_id, span)
    records: list[Record] = []
    for arrived, payload, positions in task.logs:
        for origin, raw in _select(payload, positions):
            total += 1
            if _EVALUATES not in raw:
                continue
            try:
                record = Record(raw, origin, arrived, problems)
            except UndecodableSpanError as error:
                undecodable.append(Undecodable(SpanKey(task.sealed.trace_id, record_id(raw)), raw, str(error)))
                continue
            if record.name == a.GEN_AI_EVALUATION_EVENT:
                records.append(record)
    return Decoded(spans, foreign, undecodable, problems, total - len(undecodable), records)


def has_feedback(raw: bytes) -> bool:
    """Whether a span may carry results in the words of OpenInference."""
    return _FEEDBACK in raw and (_EVALUATED in raw or _ANNOTATED in raw)


class Ancestry:
    """Who stands above whom in a task. The headers of foreign spans are read when a chain first needs them."""

    def __init__(self, decoded: Decoded) -> None:
        self._parents = {span_id: span.parent_id for span_id, span in decoded.spans.items()}
        self._foreign = decoded.foreign

    def above(self, span_id: bytes) -> Iterator[bytes]:
        """Yield the ids above a span, nearest first, each once, also where parents form a circle.

        The last one may be that of a span which is not here.
        """
        met = {span_id}
        while (parent_id := self._parent(span_id)) and parent_id not in met:
            yield parent_id
            met.add(parent_id)
            span_id = parent_id

    def _parent(self, span_id: bytes) -> bytes | None:
        parent_id = self._parents.get(span_id)
        if parent_id is None and self._foreign:
            for raw in self._foreign:
                header = messages.Header.FromString(raw)
                self._parents.setdefault(header.span_id, header.parent_span_id)
            self._foreign = ()
            parent_id = self._parents.get(span_id)
        return None if parent_id == _NO_SPAN else parent_id


class Nearest(Generic[_Mark]):
    """What stands nearest above a span, among spans that are marked. Long chains are walked once."""

    def __init__(self, ancestry: Ancestry, marks: Mapping[bytes, _Mark]) -> None:
        self._above = ancestry.above
        self._known = dict(marks)

    def above(self, span: Span, otherwise: _Mark) -> _Mark:
        """Return the mark of the nearest marked span above, `otherwise` where there is none."""
        if span.parent_id in self._known:
            return self._known[span.parent_id]
        found = otherwise
        walked = []
        for ancestor in self._above(span.span_id):
            if ancestor in self._known:
                found = self._known[ancestor]
                break
            walked.append(ancestor)
        for ancestor in walked:
            self._known[ancestor] = found
        return found


def _parse(message: Any, raw: bytes) -> Any:
    try:
        return message.FromString(raw)
    except DecodeError as error:
        raise UndecodableSpanError(f"attributes can't be decoded, send UTF-8 text and flat values: {error}") from None


def _select(payload: bytes, positions: Sequence[int]) -> list[tuple[Origin, bytes]]:
    """Return what stands at the given positions, counted through the payload, with where it comes from."""
    try:
        found = entries_of(payload, positions)
    except DecodeError as error:
        raise DamagedEntryError(f"journalled payload of {len(payload)} bytes is no TracesData: {error}") from None
    if len(found) < len(positions):
        raise DamagedEntryError(
            f"journalled payload of {len(payload)} bytes has {len(found)} of {len(positions)} spans"
        )
    return found
