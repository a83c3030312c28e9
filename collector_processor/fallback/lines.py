"""One line of a fallback file: one task's facts, after the privacy pass, under the identity of its batch.

`{"sum":"<16 hex digits>","line":{…}}`: the sum is BLAKE2b of the inner object's bytes, so that a torn write or a
flipped bit is told from content. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

import msgspec

from collector_processor.errors import DamagedLineError
from collector_processor.model.facts import Anomaly, EvaluationFact, ExecutionFact, Facts, RoutingFact, ToolCallFact
from collector_processor.model.stages import Converted, LifecycleFact, SealedTask, SealKind, SpanKey, Stray

FORMAT: Final = 1
_HEAD: Final = b'{"sum":"'
_MIDDLE: Final = b'","line":'
_TAIL: Final = b"}"
_DIGITS: Final = 16
_BODY_AT: Final = len(_HEAD) + _DIGITS + len(_MIDDLE)


class StrayLine(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A lifecycle fact without a task above it, in the field of its kind."""

    trace_id: str
    span_id: str
    parent_id: str
    namespace: str | None = None
    tenant: str | None = None
    anomalies: tuple[Anomaly, ...] = ()
    routing: RoutingFact | None = None
    execution: ExecutionFact | None = None
    tool_call: ToolCallFact | None = None
    evaluation: EvaluationFact | None = None


_FIELDS: Final[dict[type[LifecycleFact], str]] = {
    RoutingFact: "routing",
    ExecutionFact: "execution",
    ToolCallFact: "tool_call",
    EvaluationFact: "evaluation",
}


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """A conversion's outcome. `place` is that of its task in the batch, `spans` what its task is counted for.

    `tenant` is that of a part without its task.
    """

    format: int
    batch: UUID
    place: int
    kind: SealKind
    trace_id: str
    span_id: str
    spans: int
    facts: Facts | None
    strays: tuple[StrayLine, ...]
    tenant: str | None = None


_decode = msgspec.json.Decoder(Line).decode


def line_of(batch_id: UUID, place: int, converted: Converted) -> Line:
    """A protected conversion as a line; its undecodable spans stay behind."""
    sealed = converted.sealed
    return Line(
        format=FORMAT,
        batch=batch_id,
        place=place,
        kind=sealed.kind,
        trace_id=sealed.trace_id.hex(),
        span_id=sealed.span_id.hex(),
        spans=converted.spans,
        facts=converted.facts,
        strays=tuple(map(_stray_line, converted.strays)),
        tenant=converted.tenant,
    )


def converted_of(line: Line) -> Converted:
    """The conversion that a line holds; of the sealed task its identity is known."""
    sealed = SealedTask(line.kind, bytes.fromhex(line.trace_id), bytes.fromhex(line.span_id), ())
    return Converted(sealed, line.facts, [_stray(each) for each in line.strays], (), line.spans, line.tenant)


def narrowed(line: Line, spans: Collection[SpanKey], counted: int) -> Line:
    """The line with the strays of these spans alone, counted for so many; a line of other facts as it is."""
    strays = tuple(each for each in line.strays if span_of(_stray(each)) in spans)
    return msgspec.structs.replace(line, strays=strays, spans=counted) if line.strays else line


def span_of(stray: Stray) -> SpanKey:
    """The span that said a stray."""
    return SpanKey(bytes.fromhex(stray.fact.trace_id), bytes.fromhex(stray.fact.span_id))


def encode(line: Line) -> bytes:
    """The line's bytes, with the sum and the newline."""
    body = msgspec.json.encode(line)
    return b"".join((_HEAD, _sum(body), _MIDDLE, body, _TAIL, b"\n"))


def decode(raw: bytes) -> Line:
    """The line of its bytes. Raises DamagedLineError."""
    raw = raw.rstrip(b"\n")
    body = raw[_BODY_AT : -len(_TAIL)]
    if raw != b"".join((_HEAD, _sum(body), _MIDDLE, body, _TAIL)):
        raise DamagedLineError("its checksum doesn't match")
    try:
        line = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedLineError(f"it can't be read: {error}") from error
    if line.format != FORMAT:
        raise DamagedLineError(f"it has format {line.format}, this program reads {FORMAT}")
    return line


def tenants_of(line: Line) -> set[str]:
    """Hashes of the tenants that a line names."""
    named = {line.tenant, *(stray.tenant for stray in line.strays)}
    if line.facts is not None and line.facts.task is not None:
        named.add(line.facts.task.tenant)
    return {tenant for tenant in named if tenant is not None}


def task_ids_of(line: Line) -> set[str]:
    """Ids of the tasks that a line names."""
    facts = line.facts or Facts()
    said: tuple[LifecycleFact, ...] = (*facts.routings, *facts.executions, *facts.tool_calls, *facts.evaluations)
    named = {fact.task_id for fact in (*said, *(_stray(stray).fact for stray in line.strays))}
    if facts.task is not None:
        named.add(facts.task.task_id)
    return {task_id for task_id in named if task_id is not None}


def _stray_line(stray: Stray) -> StrayLine:
    fact: dict[str, Any] = {_FIELDS[type(stray.fact)]: stray.fact}
    return StrayLine(
        trace_id=stray.key.trace_id.hex(),
        span_id=stray.key.span_id.hex(),
        parent_id=stray.parent_id.hex(),
        namespace=stray.namespace,
        tenant=stray.tenant,
        anomalies=stray.anomalies,
        **fact,
    )


def _stray(line: StrayLine) -> Stray:
    fact = next(fact for name in _FIELDS.values() if (fact := getattr(line, name)) is not None)
    key = SpanKey(bytes.fromhex(line.trace_id), bytes.fromhex(line.span_id))
    return Stray(key, bytes.fromhex(line.parent_id), fact, line.namespace, line.tenant, line.anomalies)


def _sum(body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGITS // 2).hexdigest().encode()
