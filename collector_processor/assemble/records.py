"""A log request, split by trace on raw bytes: body → Split.

Of log records, tasks are concerned by evaluations and by the other events of the GenAI conventions, which carry the
messages of model calls. Such a record goes into the tree of its trace as a child of the span that it names, under a
hash of its bytes, so that one sent again is known. All others are counted and let go before anything is written.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from collector_processor.assemble.messages import HeaderLogs, RecordHeader
from collector_processor.assemble.recognise import role_of_record
from collector_processor.assemble.request import MAX_FRAGMENT_BYTES, Form, Share, refuse_growth, scopes
from collector_processor.model.stages import HEADER, FragmentFlag, Rejection, Role, Split, record_id

_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_UNREADABLE: Final = RecordHeader()
_LOGS: Final = Form(
    "logs",
    HeaderLogs,
    RecordHeader,
    _UNREADABLE,
    {"resource_spans": "resource_logs", "scope_spans": "scope_logs", "spans": "log_records"},
)
_FOREIGN: Final = int(FragmentFlag.LOGS)
_EVALUATION: Final = int(FragmentFlag.LOGS | FragmentFlag.LIFECYCLE)


def split(body: bytes) -> Split:
    """Check a logs request (`ExportLogsServiceRequest` or `LogsData`: the same bytes) and split it by trace.

    `spans` of the result counts all of the request's records. A trace or span id that is no id counts as absent, as
    OTLP asks. One that concerns a task is `traceless` without a trace, and without a span it waits for its task's id.
    A record is rejected only where it is no readable protobuf message.

    Raises:
        MalformedRequestError: the body is no such message.
        RequestTooLargeError: as for spans (`wire`).
    """
    open_shares: dict[bytes, Share] = {}
    shares: list[Share] = []
    faults: Counter[str] = Counter()
    total = foreign = traceless = 0
    for scope in scopes(body, _LOGS):
        total += len(scope.entries)
        for record, header in zip(scope.entries, scope.headers, strict=True):
            if header is _UNREADABLE:
                faults["log record is not a readable protobuf message"] += 1
                continue
            role = role_of_record(header.event_name, record)
            if role is None:
                foreign += 1
                continue
            trace_id, span_id = header.trace_id, header.span_id
            if len(trace_id) != len(_NO_TRACE) or trace_id == _NO_TRACE:
                traceless += 1
                continue
            size = len(record)
            share = open_shares.get(trace_id)
            if share is None or share.size + size > MAX_FRAGMENT_BYTES:
                share = open_shares[trace_id] = Share(trace_id, scope, _FOREIGN)
                shares.append(share)
            elif share.scope is not scope:
                share.enter(scope)
            share.size += size
            if role == Role.EVALUATION:
                share.flags |= _EVALUATION
            share.entries.append(record)
            parent_id = span_id if len(span_id) == len(_NO_SPAN) else _NO_SPAN
            share.headers.append(HEADER.pack(record_id(record), parent_id, role, size))
    refuse_growth(shares, len(body))
    rejections = [Rejection(records, reason) for reason, records in faults.items()]
    return Split([share.fragment() for share in shares], total, rejections, foreign, traceless)
