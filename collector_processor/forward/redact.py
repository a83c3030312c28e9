"""The copy of a span that may leave: what the contract knows and is no free text. Pure.

The copy is built anew from what is allowed, so whatever a sender or a later version of OTLP adds stays here. It reads
`repeated KeyValue` as it came: a map would hide all but the last of several entries of one name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, wraps
from typing import Any, Final, TypeVar

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_processor.forward.allowed import EVENTS, RESOURCE, SPAN, Form, is_name
from collector_processor.forward.texts import Clean, said_by, texts_of, values_of
from collector_processor.model.stages import Standing
from otel_benchmark import attributes as a

UNNAMED: Final = "span"
"""Name of a foreign span whose scope has none."""
MAX_REMEMBERED_BYTES: Final = 4096
"""Of a resource or scope whose copy is remembered."""

_Copy = TypeVar("_Copy")

_NAMED_BY: Final[Mapping[str, str | None]] = {
    a.Kind.TASK: a.TASK_TYPE,
    a.Kind.ROUTE: None,  # the router's name stands nowhere else, in no record either
    a.Kind.EXECUTION: a.GEN_AI_AGENT_NAME,
    a.Kind.TOOL_CALL: a.GEN_AI_TOOL_NAME,
    a.Kind.EVALUATION: a.EVALUATOR_NAME,
}
"""First word of a lifecycle span's name → the attribute that makes the rest of it."""

_CONFIRMING: Final = frozenset({a.TASK_ID, a.GEN_AI_OPERATION_NAME, a.ROUTING_SELECTED_ID, a.EVALUATION_OVERALL_SCORE})
"""One of them tells a lifecycle span from a foreign one whose name begins alike."""

_TENANTS: Final = frozenset({a.TENANT_ID, a.TENANT_HASH})


class Redactor:
    """Makes copies of spans.

    Args:
        known_as: tenant, in clear or hashed → the hash under which records know it; None where it must stay here.
        clean: (texts, tenant) → these texts, without personal data and credentials; None lets them pass.
    """

    def __init__(self, known_as: Callable[[str], str | None], clean: Clean | None = None) -> None:
        self._known_as = known_as
        self._clean = clean
        self.resource = _remembered(self._resource)
        """From a resource's bytes, its copy; shared."""
        self.scope = _remembered(self._scope)
        """From an instrumentation scope's bytes, its copy; shared."""

    def span(self, span: Span, scope: InstrumentationScope, trace_state: str, point: Sequence[KeyValue]) -> Span:
        """Copy a span.

        Args:
            span: as it was received.
            scope: the copy of its instrumentation scope, which names it where the contract doesn't.
            trace_state: what is written in place of its own.
            point: attributes that lead to its record (see `describe_point`).
        """
        attributes = _allowed(span.attributes, SPAN)
        tenant = self._tenant(span.attributes)
        if tenant is not None:
            attributes[a.TENANT_HASH] = KeyValue(key=a.TENANT_HASH, value=AnyValue(string_value=tenant))
        copy = Span(
            trace_id=span.trace_id,
            span_id=span.span_id,
            trace_state=trace_state,
            parent_span_id=span.parent_span_id,
            flags=span.flags,
            name=_name(span.name, attributes, scope),
            kind=span.kind,
            start_time_unix_nano=span.start_time_unix_nano,
            end_time_unix_nano=span.end_time_unix_nano,
            attributes=[*attributes.values(), *point],
            dropped_attributes_count=_bounded(span.dropped_attributes_count + len(span.attributes) - len(attributes)),
            events=[_event(event, EVENTS[event.name]) for event in span.events if event.name in EVENTS],
            links=[_link(link) for link in span.links if _is_id(link.trace_id, 16) and _is_id(link.span_id, 8)],
        )
        copy.dropped_events_count = _bounded(span.dropped_events_count + len(span.events) - len(copy.events))
        copy.dropped_links_count = _bounded(span.dropped_links_count + len(span.links) - len(copy.links))
        copy.status.code = span.status.code
        copy.DiscardUnknownFields()
        return copy

    def clean(self, copies: Sequence[Span], originals: Sequence[Span]) -> None:
        """Take out of the names and identifiers of copies what is personal; the originals of one task tell more of it.

        What stays here is searched too: a name that a description announces must not leave as an agent's.
        """
        if self._clean is None:
            return
        tenants = (item.value.string_value for copy in copies for item in copy.attributes if item.key == a.TENANT_HASH)
        texts = [text for copy in copies for text in texts_of(copy)]
        told = [(text.key, text.value) for text in texts]
        said = dict.fromkeys(each for original in originals for each in said_by(original) if each[1])
        for each in told:
            said.pop(each, None)
        for text, value in zip(texts, self._clean([*told, *said], next(tenants, None)), strict=False):
            text.replace(value)

    def _resource(self, raw: bytes) -> Resource:
        resource = copy_resource(raw)
        if self._clean is not None:
            texts = [text for item in resource.attributes for text in values_of(item.key, item.value)]
            for text, value in zip(texts, self._clean([(text.key, text.value) for text in texts], None), strict=True):
                text.replace(value)
        return resource

    def _scope(self, raw: bytes) -> InstrumentationScope:
        scope = copy_scope(raw)
        if self._clean is not None:
            told = [("scope.name", scope.name), ("scope.version", scope.version)]
            scope.name, scope.version = self._clean(told, None)
        return scope

    def _tenant(self, attributes: Iterable[KeyValue]) -> str | None:
        """The hash of the tenant that a span names, be it in clear or hashed already."""
        named = {item.key: item.value.string_value for item in attributes if item.key in _TENANTS}
        tenant = named.get(a.TENANT_HASH) or named.get(a.TENANT_ID)
        return self._known_as(tenant) if tenant else None


def _remembered(copy: Callable[[bytes], _Copy]) -> Callable[[bytes], _Copy]:
    """Make a copy once of bytes that come again; long ones are not kept, for they stand in nobody's account."""
    known = lru_cache(maxsize=512)(copy)

    @wraps(copy)
    def remembered(raw: bytes) -> _Copy:
        return known(raw) if len(raw) <= MAX_REMEMBERED_BYTES else copy(raw)

    return remembered


def describe_point(standing: Standing | None) -> list[KeyValue]:
    """What leads from a forwarded span to its record, and how that stands."""
    if standing is None:
        return []
    described = [
        KeyValue(key=a.POINT_ID, value=AnyValue(string_value=str(standing.id))),
        KeyValue(key=a.POINT_STATE, value=AnyValue(string_value=standing.state)),
        KeyValue(key=a.POINT_VALID, value=AnyValue(bool_value=standing.valid)),
    ]
    if standing.outcome is not None:
        described.append(KeyValue(key=a.POINT_OUTCOME, value=AnyValue(string_value=standing.outcome)))
    if standing.gates_failed:
        gates = ArrayValue(values=[AnyValue(string_value=gate) for gate in standing.gates_failed])
        described.append(KeyValue(key=a.POINT_GATES_FAILED, value=AnyValue(array_value=gates)))
    return described


def copy_resource(raw: bytes) -> Resource:
    """Copy a resource from its bytes; one that can't be decoded gives an empty one."""
    try:
        resource = Resource.FromString(raw)
    except DecodeError:
        return Resource()
    attributes = _allowed(resource.attributes, RESOURCE)
    left_out = resource.dropped_attributes_count + len(resource.attributes) - len(attributes)
    copy = Resource(attributes=attributes.values(), dropped_attributes_count=_bounded(left_out))
    copy.DiscardUnknownFields()
    return copy


def copy_scope(raw: bytes) -> InstrumentationScope:
    """Copy an instrumentation scope from its bytes: name and version."""
    try:
        scope = InstrumentationScope.FromString(raw)
    except DecodeError:
        return InstrumentationScope()
    return InstrumentationScope(
        name=scope.name if is_name(scope.name) else "", version=scope.version if is_name(scope.version) else ""
    )


def _allowed(attributes: Iterable[KeyValue], forms: Mapping[str, Form]) -> dict[str, KeyValue]:
    """The allowed ones by name, the last of several, as records read them."""
    allowed: dict[str, KeyValue] = {}
    for item in attributes:
        form = forms.get(item.key)
        if form is not None:
            if form(item.value):
                allowed[item.key] = KeyValue(key=item.key, value=item.value)
            else:
                allowed.pop(item.key, None)
    return allowed


def _event(event: Any, forms: Mapping[str, Form]) -> Span.Event:
    attributes = _allowed(event.attributes, forms)
    left_out = event.dropped_attributes_count + len(event.attributes) - len(attributes)
    return Span.Event(
        time_unix_nano=event.time_unix_nano,
        name=event.name,
        attributes=attributes.values(),
        dropped_attributes_count=_bounded(left_out),
    )


def _link(link: Any) -> Span.Link:
    return Span.Link(trace_id=link.trace_id, span_id=link.span_id, flags=link.flags)


def _is_id(value: bytes, size: int) -> bool:
    """Whether these bytes can be an id: others may hold text, and backends refuse a whole request for one of them."""
    return len(value) in {0, size}


def _name(name: str, attributes: Mapping[str, KeyValue], scope: InstrumentationScope) -> str:
    """The name as the contract forms it from attributes that leave; of a foreign span its scope's."""
    word = name.partition(" ")[0]
    if word in _NAMED_BY and not _CONFIRMING.isdisjoint(attributes):
        named_by = _NAMED_BY[word]
    else:
        word = attributes[a.GEN_AI_OPERATION_NAME].value.string_value if a.GEN_AI_OPERATION_NAME in attributes else ""
        if word not in a.MODEL_OPERATIONS:
            return scope.name or UNNAMED
        named_by = a.GEN_AI_REQUEST_MODEL
    if named_by is None or named_by not in attributes:
        return word
    return f"{word} {attributes[named_by].value.string_value}"


def _bounded(count: int) -> int:
    """A count as a uint32 field takes it: a sender may have filled it to the brim."""
    return min(count, 0xFFFFFFFF)
