"""A trace request, checked span by span and split by trace on raw bytes: body → Split.

Attributes are never decoded. What a span's header gets wrong is its own loss, reported as a Rejection.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from collector_processor.assemble.messages import HeaderTraces, SpanHeader, unknown_fields
from collector_processor.assemble.recognise import role_of
from collector_processor.assemble.request import MAX_FRAGMENT_BYTES, Form, Share, refuse_growth, scopes
from collector_processor.model.stages import HEADER, FragmentFlag, Rejection, Split

_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_UNREADABLE: Final = SpanHeader()
_TRACES: Final = Form("trace", HeaderTraces, SpanHeader, _UNREADABLE, {})
_FLAGS: Final = (
    int(FragmentFlag.NONE),
    int(FragmentFlag.TASK | FragmentFlag.LIFECYCLE),
    int(FragmentFlag.LIFECYCLE),
    int(FragmentFlag.LIFECYCLE),
)
"""Flags of a fragment that holds a span of this role."""


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
    open_shares: dict[bytes, Share] = {}
    shares: list[Share] = []
    faults: Counter[str] = Counter()
    total = 0
    pack = HEADER.pack
    for scope in scopes(body, _TRACES):
        total += len(scope.entries)
        current, share = b"", None
        for span, header in zip(scope.entries, scope.headers, strict=True):
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
                share = open_shares[trace_id] = Share(trace_id, scope)
                shares.append(share)
            elif share.scope is not scope:
                share.enter(scope)
            role = role_of(name, span)
            share.size += size
            share.flags |= _FLAGS[role]
            share.entries.append(span)
            share.headers.append(pack(span_id, parent_id, role, size))
    refuse_growth(shares, len(body))
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
    for scope in scopes(payload, _TRACES):
        for span, header in zip(scope.entries, scope.headers, strict=True):
            role = role_of(header.name, span)
            packed.append(HEADER.pack(header.span_id, header.parent_span_id or _NO_SPAN, role, len(span)))
    return b"".join(packed)


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
