"""Spans as the journal held them → what is sent of them: selected, redacted, packed. Pure.

Pieces are `TracesData` messages. Two of them, one behind the other, are one again, so a request is made by joining
bytes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from collector_processor.forward.redact import Redactor, describe_point
from collector_processor.forward.select import Selector
from collector_processor.model.otlp import Origin, entries_of
from collector_processor.model.stages import SpanKey, Standing

PIECE_SPANS: Final = 500
PIECE_BYTES: Final = 1 << 20
"""A piece ends with the span that reaches one of them, the bytes being those of the spans as they came: little is
added to a copy. A request is one piece or more, and a backend takes 4 MiB unless told otherwise."""

Payloads = Iterable[tuple[bytes, Sequence[int]]]
"""`TracesData` messages, and the positions of the spans that are meant."""


class Piece(NamedTuple):
    """A `TracesData` message, how many spans it holds, of which trace, and the records that they belong to."""

    body: bytes
    spans: int
    trace_id: bytes
    points: frozenset[UUID]


class Prepared(NamedTuple):
    """What became of spans: pieces to send; counts of those sampled out, not to be shown, and not decodable."""

    pieces: list[Piece]
    sampled: int
    hidden: int
    undecodable: int


class Preparer:
    """Selection and redaction with their settings."""

    def __init__(self, selector: Selector, redactor: Redactor) -> None:
        self._selector = selector
        self._redactor = redactor

    def prepare(
        self,
        trace_id: bytes,
        payloads: Payloads,
        standing_of: Callable[[bytes], Standing | None],
        *,
        kept: bool = False,
    ) -> Prepared:
        """Make the copies of one task's spans, or of others of one trace, that may leave.

        Args:
            trace_id: 16 bytes.
            payloads: where they stand.
            standing_of: span id → how the record that it belongs to stands; None where it has none.
            kept: they are forwarded whatever the ratio, also without a record.
        """
        leaving: list[tuple[Origin, Span, int, UUID | None]] = []
        originals: list[Span] = []
        described: Standing | None = None
        point: list[KeyValue] = []
        copied: Origin | None = None
        scope = InstrumentationScope()
        sampled = hidden = undecodable = 0
        for payload, positions in payloads:
            found = 0
            for origin, raw in _spans_of(payload, positions):
                found += 1
                try:
                    span = Span.FromString(raw)
                except DecodeError:
                    undecodable += 1
                    continue
                standing = standing_of(span.span_id)
                if standing is not None and not standing.shown:
                    hidden += 1
                    continue
                always = kept or self._selector.keeps(standing)
                trace_state = self._selector.sample(trace_id, span.trace_state, kept=always)
                if trace_state is None:
                    sampled += 1
                    continue
                if standing is not described:
                    described, point = standing, describe_point(standing)
                if origin is not copied:
                    copied, scope = origin, self._redactor.scope(origin.scope)
                copy = self._redactor.span(span, scope, trace_state, point)
                leaving.append((origin, copy, len(raw), None if standing is None else standing.id))
                originals.append(span)
            undecodable += len(positions) - found
        self._redactor.clean([copy for _, copy, _, _ in leaving], originals)
        packer = _Packer(self._redactor, trace_id)
        for origin, copy, size, point_id in leaving:
            packer.add(origin, copy, size, point_id)
        return Prepared(packer.pieces(), sampled, hidden, undecodable)


def fact_ids(trace_id: bytes, payloads: Payloads) -> Iterator[str]:
    """Identities of spans as records know them: trace and span id in hex. Those that can't be decoded are left out."""
    for payload, positions in payloads:
        for _, raw in _spans_of(payload, positions):
            with contextlib.suppress(DecodeError):
                yield SpanKey(trace_id, Span.FromString(raw).span_id).hex


def _spans_of(payload: bytes, positions: Sequence[int]) -> Iterator[tuple[Origin, bytes]]:
    """The spans at these positions; a payload that is no OTLP gives none."""
    with contextlib.suppress(DecodeError):
        yield from entries_of(payload, positions)


class _Packer:
    """Gathers copies by where they come from."""

    def __init__(self, redactor: Redactor, trace_id: bytes) -> None:
        self._redactor = redactor
        self._trace_id = trace_id
        self._points: set[UUID] = set()
        self._pieces: list[Piece] = []
        self._shares: dict[Origin, list[Span]] = {}
        self._spans = self._bytes = 0

    def add(self, origin: Origin, copy: Span, size: int, point_id: UUID | None) -> None:
        if point_id is not None:
            self._points.add(point_id)
        self._shares.setdefault(origin, []).append(copy)
        self._spans += 1
        self._bytes += size
        if self._spans >= PIECE_SPANS or self._bytes >= PIECE_BYTES:
            self._pack()

    def pieces(self) -> list[Piece]:
        if self._spans:
            self._pack()
        return self._pieces

    def _pack(self) -> None:
        traces = TracesData()
        for origin, copies in self._shares.items():
            target = traces.resource_spans.add(resource=self._redactor.resource(origin.resource))
            target.scope_spans.add(scope=self._redactor.scope(origin.scope), spans=copies)
        body = traces.SerializeToString()
        self._pieces.append(Piece(body, self._spans, self._trace_id, frozenset(self._points)))
        self._shares, self._points, self._spans, self._bytes = {}, set(), 0, 0
