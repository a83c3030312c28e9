"""A trace request, checked span by span and split by trace on raw bytes: body → Split.

Attributes are never decoded. What a span's header gets wrong is its own loss, reported as a Rejection. What can be
asked of all spans of a scope at once is asked so, column by column: span by span it takes longer by half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import le
from typing import Any, Final, NamedTuple

from collector_processor.assemble.messages import HeaderTraces, KnownSpan, SpanHeader, unknown_fields
from collector_processor.assemble.recognise import roles_of
from collector_processor.assemble.request import MAX_FRAGMENT_BYTES, Form, Share, refuse_growth, scopes
from collector_processor.model.stages import HEADER, FragmentFlag, Rejection, Split

_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_PARENT: Final = SpanHeader.DESCRIPTOR.fields_by_name["parent_span_id"].number
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
    for scope in scopes(body, _TRACES):
        total += len(scope.entries)
        spans = _spans(scope.entries, scope.headers)
        if not _all_sound(spans):
            spans = _sound(spans, faults)
        roles = roles_of(spans.names, spans.entries)
        sizes = [*map(len, spans.entries)]
        headers = [*map(HEADER.pack, spans.span_ids, spans.parent_ids, roles, sizes)]
        for start, end, size in _runs(spans.trace_ids, sizes):
            trace_id = spans.trace_ids[start]
            share = open_shares.get(trace_id)
            if share is None or share.size + size > MAX_FRAGMENT_BYTES:
                share = open_shares[trace_id] = Share(trace_id, scope)
                shares.append(share)
            elif share.scope is not scope:
                share.enter(scope)
            share.size += size
            share.entries += spans.entries[start:end]
            share.headers += headers[start:end]
            for role in {*roles[start:end]}:
                share.flags |= _FLAGS[role]
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
        spans = _spans(scope.entries, scope.headers)
        roles = roles_of(spans.names, spans.entries)
        packed += map(HEADER.pack, spans.span_ids, spans.parent_ids, roles, map(len, spans.entries))
    return b"".join(packed)


def _runs(trace_ids: Sequence[bytes], sizes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Where neighbours of one trace start and end that fit into a fragment, and their bytes."""
    start = 0
    for _, run in groupby(trace_ids):
        end = start + len([*run])
        size = sum(sizes[start:end])
        while size > MAX_FRAGMENT_BYTES and end - start > 1:
            stop, part = start + 1, sizes[start]
            while part + sizes[stop] <= MAX_FRAGMENT_BYTES:
                part += sizes[stop]
                stop += 1
            yield start, stop, part
            start, size = stop, size - part
        yield start, end, size
        start = end


# -- Columns -------------------------------------------------------------------------------------------------


class _Spans(NamedTuple):
    """Spans of one scope, and what their headers say; the parent id of a root is 8 zero bytes."""

    entries: Sequence[bytes]
    headers: Sequence[Any]
    trace_ids: Sequence[bytes]
    span_ids: Sequence[bytes]
    parent_ids: Sequence[bytes]
    names: Sequence[bytes]


def _spans(entries: Sequence[bytes], headers: Sequence[Any]) -> _Spans:
    return _Spans(
        entries,
        headers,
        [header.trace_id for header in headers],
        [header.span_id for header in headers],
        [header.parent_span_id or _NO_SPAN for header in headers],
        [header.name for header in headers],
    )


def _all_sound(spans: _Spans) -> bool:
    """Whether none of the spans has a fault; told without looking at each, so it errs where only a few are."""
    starts = [header.start_time_unix_nano for header in spans.headers]
    ends = [header.end_time_unix_nano for header in spans.headers]
    return (
        {*map(len, spans.trace_ids)} == {len(_NO_TRACE)}
        and {*map(len, spans.span_ids), *map(len, spans.parent_ids)} == {len(_NO_SPAN)}
        and _NO_TRACE not in {*spans.trace_ids}
        and _NO_SPAN not in spans.span_ids
        and all(starts)
        and all(map(le, starts, ends))
        and all(name and _is_utf8(name) for name in {*spans.names})
        and not any(_fault(header, entry) for header, entry in _roots(spans))
    )


def _roots(spans: _Spans) -> Iterator[tuple[Any, bytes]]:
    """Headers and bytes of those that name no parent, or seem to."""
    return (
        (header, entry)
        for header, entry, parent_id in zip(spans.headers, spans.entries, spans.parent_ids, strict=True)
        if parent_id is _NO_SPAN
    )


def _sound(spans: _Spans, faults: Counter[str]) -> _Spans:
    """Those without a fault; those of the others are counted."""
    entries, headers = [], []
    for entry, header in zip(spans.entries, spans.headers, strict=True):
        fault = _fault(header, entry)
        if fault is None:
            entries.append(entry)
            headers.append(header)
        else:
            faults[fault] += 1
    return _spans(entries, headers)


# -- Faults --------------------------------------------------------------------------------------------------


def _fault(header: Any, span: bytes) -> str | None:
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
    if not parent_id and len(span) <= MAX_FRAGMENT_BYTES and _has_misread_parent(span):
        return "parent_span_id must be bytes: it has a wrong wire type"
    if not name or not _is_utf8(name):
        return "name must be UTF-8 text and not empty"
    if not start or not end:
        return "start_time_unix_nano and end_time_unix_nano must not be zero"
    if end < start:
        return "end_time_unix_nano must not be before start_time_unix_nano"
    return None


def _has_misread_parent(span: bytes) -> bool:
    """Tell a root from a span whose parent protobuf skipped. Costly where a span has fields by the million."""
    return any(number == _PARENT for number, _ in unknown_fields(KnownSpan.FromString(span)))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
