"""One sealed task, from bytes to facts: the stage's way in."""

from __future__ import annotations

from typing import Final

import msgspec

from collector_processor.convert import evaluations
from collector_processor.convert.adapter import Adapter
from collector_processor.convert.arbiter import ArbiterAdapter
from collector_processor.convert.decode import Decoded, Record, Span, decode
from collector_processor.convert.parts import tenant_of
from collector_processor.convert.source import describe
from collector_processor.convert.union import arrange
from collector_processor.model.facts import Anomaly, Facts
from collector_processor.model.stages import Converted, LifecycleFact, RawTask, SealKind, SpanKey, Stray

_ADAPTER: Final[Adapter] = ArbiterAdapter()


def convert(raw: RawTask) -> Converted:
    """Decode a sealed task and read its facts.

    Where the task's own span is missing though it should be there (its attributes can't be decoded), the others are
    handed on as strays, as those of an ORPHAN are: without that span there is no record to put them into.

    Raises:
        DamagedEntryError: a payload is not what the journal wrote.
    """
    sealed = raw.sealed
    decoded = decode(raw)
    facts = arrange(_ADAPTER.read(sealed, decoded))
    if facts.task is not None:
        return Converted(sealed, facts, (), decoded.undecodable, decoded.total)
    if sealed.kind is SealKind.LATE:
        said_by: tuple[Span | Record, ...] = (*decoded.spans.values(), *decoded.records)
        named = (tenant_of(each.attributes) for each in said_by)
        tenant = next((tenant for tenant in named if tenant is not None), None)
        return Converted(sealed, facts, (), decoded.undecodable, decoded.total, tenant)
    return Converted(sealed, None, _strays(facts, decoded, sealed.trace_id.hex()), decoded.undecodable, decoded.total)


def _strays(facts: Facts, decoded: Decoded, trace_id: str) -> list[Stray]:
    """Return each lifecycle fact with what may lead to its task. A stray's key in hex is its fact's id."""
    found: tuple[LifecycleFact, ...] = (*facts.routings, *facts.executions, *facts.tool_calls, *facts.evaluations)
    noticed: dict[str, list[Anomaly]] = {}
    for anomaly in facts.anomalies:
        noticed.setdefault(anomaly.span_id, []).append(anomaly)
    records = {evaluations.from_record(record, trace_id).fact_id: record for record in decoded.records}
    strays = []
    for fact in found:
        identity = bytes.fromhex(fact.fact_id)
        said_by: Span | Record = records.get(fact.fact_id) or decoded.spans[bytes.fromhex(fact.span_id)]
        # A log record hangs on the span that it names as a span does on its parent.
        parent_id = said_by.span_id if isinstance(said_by, Record) else said_by.parent_id
        strays.append(
            Stray(
                key=SpanKey(identity[:16], identity[16:]),
                parent_id=parent_id or bytes(8),
                fact=msgspec.structs.replace(fact, joined=True),
                namespace=describe(said_by.origin).source.service_namespace,
                tenant=tenant_of(said_by.attributes),
                anomalies=tuple(noticed.get(fact.span_id, ())),
            )
        )
    return strays
