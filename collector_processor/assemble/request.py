"""What requests of spans and of log records have in common on raw bytes: scopes, and fragments made of what they hold.

upb parses a body twice: once down to spans or log records as bytes, which are kept as they came, and once down to
their headers. Only a body whose frame can't be read is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from collector_processor.assemble.frame import field, fields, refuse_crowd
from collector_processor.assemble.messages import RawTraces, unknown_fields
from collector_processor.errors import MalformedRequestError, RequestTooLargeError
from collector_processor.model.stages import Fragment, FragmentFlag

MAX_FRAGMENT_BYTES: Final = 60 * 1024
"""What a request says of a trace is cut into fragments of at most this, so that with an ordinary resource and scope a
payload stays under 64 KiB. A single span or log record may be larger: it stands alone."""
MAX_SPLIT_BYTES: Final = 64 * 1024 * 1024
"""All fragments of a request may take this, or `MAX_GROWTH` times its body: each trace repeats resource and scope,
and a large resource over many small traces would otherwise fill the memory."""
MAX_GROWTH: Final = 4


class Form(NamedTuple):
    """A signal's request. Those of spans and of log records differ on the wire in what their scopes hold, and in names.

    Attributes:
        word: what an error calls the request.
        headed: message class that reads a whole request down to headers, by the field names of traces.
        header: message class of one header; `unreadable` stands for one that is no protobuf message.
        names: field names of traces → those of this signal.
    """

    word: str
    headed: Any
    header: Any
    unreadable: Any
    names: Mapping[str, str]


class Resource(NamedTuple):
    """A resource of a request: as it is described, and its fields as they stand before and behind its scopes."""

    described: bytes
    opening: bytes
    closing: bytes


class Scope(NamedTuple):
    """One scope of a request with the resource around it; `context` is their own size in bytes.

    `entries` are its spans or log records as bytes, `headers` theirs; its own fields stand before and behind them.
    """

    resource: Resource
    opening: bytes
    closing: bytes
    context: int
    entries: Sequence[bytes]
    headers: Sequence[Any]


def scopes(body: bytes, form: Form) -> Iterator[Scope]:
    """Walk the scopes of a request that hold anything.

    Raises:
        MalformedRequestError: the body is no such message.
        RequestTooLargeError: it has too many parts (`frame`).
    """
    refuse_crowd(body)
    try:
        raw = RawTraces.FromString(body)
    except DecodeError as error:
        raise MalformedRequestError(f"The body is not an OTLP {form.word} request in protobuf: {error}") from error
    _refuse_misread(raw, form)
    if body and not raw.resource_spans:
        name = form.names.get("resource_spans", "resource_spans")
        raise MalformedRequestError(f"The body holds no {name}: it is not an OTLP {form.word} request in protobuf")
    try:
        headed = form.headed.FromString(body)
    except DecodeError:
        headed = None
    for number, resource in enumerate(raw.resource_spans):
        _refuse_misread(resource, form)
        around = Resource(b"".join(resource.resource), fields(1, resource.resource), fields(3, resource.schema_url))
        for position, scope in enumerate(resource.scope_spans):
            _refuse_misread(scope, form)
            if not scope.spans:
                continue
            opening, closing = fields(1, scope.scope), fields(3, scope.schema_url)
            context = len(around.opening) + len(around.closing) + len(opening) + len(closing)
            entries = list(scope.spans)
            if headed is None:
                headers = [_read_header(entry, form) for entry in entries]
            else:
                headers = list(headed.resource_spans[number].scope_spans[position].spans)
            yield Scope(around, opening, closing, context, entries, headers)


def refuse_growth(shares: Sequence[Share], body_bytes: int) -> None:
    """Refuse a request that its fragments would make too large. Raises RequestTooLargeError."""
    fragments_bytes = sum(share.size + share.groups[0][0].context for share in shares)
    limit = max(MAX_SPLIT_BYTES, MAX_GROWTH * body_bytes)
    if fragments_bytes > limit:
        raise RequestTooLargeError(
            f"The request's traces, each with a copy of its resource and scope, take {fragments_bytes:,} bytes; "
            f"the limit is {limit:,}: send fewer traces a request or a smaller resource"
        )


def extract(payload: bytes, positions: Collection[int]) -> bytes:
    """A fragment's payload with what stands at these positions alone, each under its own resource and scope."""
    wanted = frozenset(positions)
    traces, position = RawTraces(), -1
    for resource in RawTraces.FromString(payload).resource_spans:
        target = None
        for scope in resource.scope_spans:
            entries = []
            for entry in scope.spans:
                position += 1
                if position in wanted:
                    entries.append(entry)
            if not entries:
                continue
            if target is None:
                target = traces.resource_spans.add(resource=resource.resource, schema_url=resource.schema_url)
            target.scope_spans.add(scope=scope.scope, schema_url=scope.schema_url, spans=entries)
    extracted: bytes = traces.SerializeToString()
    return extracted


def emptied(payload: bytes, positions: int) -> bytes:
    """A fragment's payload in which nothing stands at the positions of a mask, while all others keep theirs."""
    traces, position = RawTraces.FromString(payload), -1
    for resource in traces.resource_spans:
        for scope in resource.scope_spans:
            for index in range(len(scope.spans)):
                position += 1
                if positions >> position & 1:
                    scope.spans[index] = b""
    left: bytes = traces.SerializeToString()
    return left


class Share:
    """What a request says of one trace on the way into one fragment, grouped by the scopes that it came in.

    `size` counts entries and the contexts of all groups but the first, which every fragment needs anyway.
    """

    __slots__ = ("entries", "flags", "groups", "headers", "scope", "size", "trace_id")

    def __init__(self, trace_id: bytes, scope: Scope, flags: int = 0) -> None:
        self.trace_id = trace_id
        self.flags = flags
        self.size = 0
        self.headers: list[bytes] = []
        self.scope = scope
        self.entries: list[bytes] = []
        self.groups = [(scope, self.entries)]

    def enter(self, scope: Scope) -> None:
        """Let the next entries be of this scope."""
        self.size += scope.context
        self.scope = scope
        self.entries = []
        self.groups.append((scope, self.entries))

    def fragment(self, payload: bytes | None = None) -> Fragment:
        """Give the fragment; `payload` where a request is already what it would be."""
        flags = FragmentFlag(self.flags)
        resource = self.groups[0][0].resource.described
        return Fragment(self.trace_id, flags, b"".join(self.headers), payload or self._payload(), resource)

    def _payload(self) -> bytes:
        """What upb would write, in half of the time: all parts are there as bytes."""
        resources: list[tuple[Resource, list[bytes]]] = []
        for scope, entries in self.groups:
            if not resources or resources[-1][0] is not scope.resource:
                resources.append((scope.resource, []))
            resources[-1][1].append(field(2, b"".join((scope.opening, fields(2, entries), scope.closing))))
        written = [field(1, b"".join((around.opening, *scopes, around.closing))) for around, scopes in resources]
        return written[0] if len(written) == 1 else b"".join(written)


def _read_header(entry: bytes, form: Form) -> Any:
    """Read one header where a neighbour's can't be read."""
    try:
        return form.header.FromString(entry)
    except DecodeError:
        return form.unreadable


def _refuse_misread(container: Any, form: Form) -> None:
    """Refuse a container one of whose own fields has a wrong wire type: protobuf would skip it without a word."""
    for number, wire_type in unknown_fields(container):
        declared = container.DESCRIPTOR.fields_by_number.get(number)
        if declared:
            name = form.names.get(declared.name, declared.name)
            raise MalformedRequestError(f"{name} has wire type {wire_type}; expected 2 (length-delimited)")
