"""An OTLP request, checked span by span and split by trace on raw bytes: body → Split.

Attributes are never decoded. upb parses the body twice: once down to spans as bytes, which are kept as they came,
and once down to their headers, which are checked and packed for the journal. What a span's header gets wrong is
its own loss, reported as a Rejection; only a body whose frame can't be read is refused as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from collector_processor.assemble.frame import refuse_crowd
from collector_processor.assemble.messages import HeaderTraces, RawTraces, SpanHeader, unknown_fields
from collector_processor.assemble.recognise import role_of
from collector_processor.errors import MalformedRequestError, RequestTooLargeError
from collector_processor.model.stages import HEADER, Fragment, FragmentFlag, Rejection, Split

MAX_FRAGMENT_BYTES: Final = 60 * 1024
"""A trace's spans are cut into fragments of at most this, so that with an ordinary resource and scope a payload
stays under 64 KiB. A single span may be larger: it stands alone."""
MAX_SPLIT_BYTES: Final = 64 * 1024 * 1024
"""All fragments of a request may take this, or `MAX_GROWTH` times its body: each trace repeats resource and scope,
and a large resource over many small traces would otherwise fill the memory."""
MAX_GROWTH: Final = 4

_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_UNREADABLE: Final = SpanHeader()
"""Stands for the header of a span that is no protobuf message."""


def split(body: bytes) -> Split:
    """Check a trace request (`ExportTraceServiceRequest` or `TracesData`: the same bytes) and split it by trace.

    `spans` of the result counts all of the request's spans, the rejected ones included. A span is rejected where
    its trace or span id has a wrong length or is all zero, its parent id is neither empty nor 8 bytes, its name
    is empty or not UTF-8, a time is zero, or it ends before it starts. A parent id of zeros is a root's.
    Fragments carry `LIFECYCLE` where any of their spans is one of the five kinds, and `TASK` where one is a task.

    Raises:
        MalformedRequestError: the body is no such message.
        RequestTooLargeError: it has too many parts (`frame`), or its traces, each with a copy of its resource, would
            take more than `MAX_SPLIT_BYTES`.
    """
    open_shares: dict[bytes, _Share] = {}
    shares: list[_Share] = []
    faults: Counter[str] = Counter()
    total = 0
    pack = HEADER.pack
    for scope in _scopes(body):
        total += len(scope.spans)
        current, share = b"", None
        for span, header in zip(scope.spans, scope.headers, strict=True):
            trace_id, span_id, name = header.trace_id, header.span_id, header.name
            parent_id = header.parent_span_id or _NO_SPAN
            sound = (  # answers for nearly all spans; _fault, which is slower, for the others
                len(trace_id) == 16
                and len(span_id) == 8
                and len(parent_id) == 8
                and name.isascii()
                and name
                and 0 < header.start_time_unix_nano <= header.end_time_unix_nano
                and trace_id != _NO_TRACE
                and span_id != _NO_SPAN
                and parent_id is not _NO_SPAN
            )
            if not sound and (fault := _fault(header, len(span))):
                faults[fault] += 1
                continue
            size = len(span)
            if trace_id != current:
                current = trace_id
                share = open_shares.get(trace_id)
            if share is None or share.size + size > MAX_FRAGMENT_BYTES:
                share = open_shares[trace_id] = _Share(trace_id, scope)
                shares.append(share)
            elif share.scope is not scope:
                share.enter(scope)
            role = role_of(name, span)
            share.size += size
            share.flags |= _FLAGS[role]
            share.spans.append(span)
            share.headers.append(pack(span_id, parent_id, role, size))
    _refuse_growth(sum(share.size + share.groups[0][0].context for share in shares), len(body))
    rejections = [Rejection(spans, reason) for reason, spans in faults.items()]
    if len(shares) == 1 and not rejections and len(body) <= MAX_FRAGMENT_BYTES:
        return Split([shares[0].fragment(body)], total, rejections)
    return Split([share.fragment() for share in shares], total, rejections)


def headers(payload: bytes) -> bytes:
    """Read a fragment's packed `HEADER` entries again from its payload: equal to those that `split` made.

    Raises:
        MalformedRequestError: the payload is not one that `split` made.
    """
    packed: list[bytes] = []
    for scope in _scopes(payload):
        for span, header in zip(scope.spans, scope.headers, strict=True):
            role = role_of(header.name, span)
            packed.append(HEADER.pack(header.span_id, header.parent_span_id or _NO_SPAN, role, len(span)))
    return b"".join(packed)


def extract(payload: bytes, positions: Collection[int]) -> bytes:
    """A fragment's payload with the spans at these positions alone, each under its own resource and scope."""
    wanted = frozenset(positions)
    traces, position = RawTraces(), -1
    for resource in RawTraces.FromString(payload).resource_spans:
        target = None
        for scope in resource.scope_spans:
            spans = []
            for span in scope.spans:
                position += 1
                if position in wanted:
                    spans.append(span)
            if not spans:
                continue
            if target is None:
                target = traces.resource_spans.add(resource=resource.resource, schema_url=resource.schema_url)
            target.scope_spans.add(scope=scope.scope, schema_url=scope.schema_url, spans=spans)
    extracted: bytes = traces.SerializeToString()
    return extracted


# -- Reading ---------------------------------------------------------------------------------------


class _Scope(NamedTuple):
    """One ScopeSpans of a request with the ResourceSpans around it; `context` is their own size in bytes."""

    resource: Any
    scope: Any
    context: int
    spans: Sequence[bytes]
    headers: Sequence[Any]


def _scopes(body: bytes) -> Iterator[_Scope]:
    """Walk the ScopeSpans of a request that hold spans."""
    refuse_crowd(body)
    try:
        raw = RawTraces.FromString(body)
    except DecodeError as error:
        raise MalformedRequestError(f"The body is not an OTLP trace request in protobuf: {error}") from error
    _refuse_misread(raw)
    if body and not raw.resource_spans:
        raise MalformedRequestError("The body holds no resource_spans: it is not an OTLP trace request in protobuf")
    try:
        headed = HeaderTraces.FromString(body)
    except DecodeError:
        headed = None
    for number, resource in enumerate(raw.resource_spans):
        _refuse_misread(resource)
        for position, scope in enumerate(resource.scope_spans):
            _refuse_misread(scope)
            if not scope.spans:
                continue
            parts = (*resource.resource, *resource.schema_url, *scope.scope, *scope.schema_url)
            spans = list(scope.spans)
            if headed is None:
                span_headers = [_read_header(span) for span in spans]
            else:
                span_headers = headed.resource_spans[number].scope_spans[position].spans
            yield _Scope(resource, scope, sum(map(len, parts)), spans, span_headers)


def _read_header(span: bytes) -> Any:
    """Read one span's header where a neighbour's can't be read."""
    try:
        return SpanHeader.FromString(span)
    except DecodeError:
        return _UNREADABLE


def _refuse_misread(container: Any) -> None:
    """Refuse a container one of whose own fields has a wrong wire type: protobuf would skip it without a word."""
    for number, wire_type in unknown_fields(container):
        declared = container.DESCRIPTOR.fields_by_number.get(number)
        if declared:
            raise MalformedRequestError(f"{declared.name} has wire type {wire_type}; expected 2 (length-delimited)")


def _refuse_growth(fragments_bytes: int, body_bytes: int) -> None:
    limit = max(MAX_SPLIT_BYTES, MAX_GROWTH * body_bytes)
    if fragments_bytes > limit:
        raise RequestTooLargeError(
            f"The request's traces, each with a copy of its resource and scope, take {fragments_bytes:,} bytes; "
            f"the limit is {limit:,}: send fewer traces a request or a smaller resource"
        )


def _fault(header: Any, size: int) -> str | None:
    """Say what is wrong with a span's header, or None. A value is not shown: equal faults are counted together."""
    if header is _UNREADABLE:
        return "span is not a readable protobuf message"
    trace_id, span_id, parent_id, name = header.trace_id, header.span_id, header.parent_span_id, header.name
    start, end = header.start_time_unix_nano, header.end_time_unix_nano
    if len(trace_id) != len(_NO_TRACE) or trace_id == _NO_TRACE:
        return "trace_id must be 16 bytes and not all zero"
    if len(span_id) != len(_NO_SPAN) or span_id == _NO_SPAN:
        return "span_id must be 8 bytes and not all zero"
    if len(parent_id) not in {0, len(_NO_SPAN)}:
        return "parent_span_id must be empty or 8 bytes"
    if not parent_id and size <= MAX_FRAGMENT_BYTES and _has_misread_parent(header):
        return "parent_span_id must be bytes: it has a wrong wire type"
    if not name or not _is_utf8(name):
        return "name must be UTF-8 text and not empty"
    if not start or not end:
        return "start_time_unix_nano and end_time_unix_nano must not be zero"
    if end < start:
        return "end_time_unix_nano must not be before start_time_unix_nano"
    return None


def _has_misread_parent(header: Any) -> bool:
    """Tell a root from a span whose parent protobuf skipped. Costly where a span has fields by the million."""
    number = SpanHeader.DESCRIPTOR.fields_by_name["parent_span_id"].number
    return any(field == number for field, _ in unknown_fields(header))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


# -- Gathering -------------------------------------------------------------------------------------


_FLAGS: Final = (
    int(FragmentFlag.NONE),
    int(FragmentFlag.TASK | FragmentFlag.LIFECYCLE),
    int(FragmentFlag.LIFECYCLE),
    int(FragmentFlag.LIFECYCLE),
)
"""Flags of a fragment that holds a span of this role."""


class _Share:
    """Spans of one trace on the way into one fragment, grouped by the scopes that they came in.

    `size` counts spans and the contexts of all groups but the first, which every fragment needs anyway.
    """

    __slots__ = ("flags", "groups", "headers", "scope", "size", "spans", "trace_id")

    def __init__(self, trace_id: bytes, scope: _Scope) -> None:
        self.trace_id = trace_id
        self.flags = 0
        self.size = 0
        self.headers: list[bytes] = []
        self.scope = scope
        self.spans: list[bytes] = []
        self.groups = [(scope, self.spans)]

    def enter(self, scope: _Scope) -> None:
        """Let the next spans be of this scope."""
        self.size += scope.context
        self.scope = scope
        self.spans = []
        self.groups.append((scope, self.spans))

    def fragment(self, payload: bytes | None = None) -> Fragment:
        """Give the fragment; `payload` where a request is already what it would be."""
        flags = FragmentFlag(self.flags)
        return Fragment(self.trace_id, flags, b"".join(self.headers), payload or self._payload())

    def _payload(self) -> bytes:
        traces = RawTraces()
        source = target = None
        for scope, spans in self.groups:
            if target is None or source is not scope.resource:
                source = scope.resource
                target = traces.resource_spans.add(resource=source.resource, schema_url=source.schema_url)
            target.scope_spans.add(scope=scope.scope.scope, schema_url=scope.scope.schema_url, spans=spans)
        payload: bytes = traces.SerializeToString()
        return payload
