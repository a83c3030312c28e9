"""From journalled payloads to pieces: which spans are meant, what becomes of each, and how they are packed."""

from __future__ import annotations

import uuid

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData
from support.backend import attributes_of
from support.lifecycle import TRACE, execution, foreign, payload, span, span_id, task, tool_call

from collector_processor.forward.prepare import PIECE_BYTES, PIECE_SPANS, Preparer, fact_ids
from collector_processor.forward.redact import Redactor
from collector_processor.forward.select import Selector
from collector_processor.model.stages import Keep, Standing
from otel_benchmark import attributes as a

SHOWN = Standing(uuid.UUID(int=1), "accepted", True, "success", 0.9, (), True)
FAILED = Standing(uuid.UUID(int=2), "accepted", True, "failure", 0.1, (), True)
HIDDEN = SHOWN._replace(shown=False)


def prepare(*payloads, standing_of=lambda _: SHOWN, ratio=1.0, keep=Keep(), **more):  # noqa: B008  # frozen
    preparer = Preparer(Selector(ratio, keep), Redactor(lambda _: None))
    return preparer.prepare(TRACE, payloads, standing_of, **more)


def spans(prepared) -> list[Span]:
    joined = TracesData.FromString(b"".join(piece.body for piece in prepared.pieces))
    return [span for each in joined.resource_spans for scope in each.scope_spans for span in scope.spans]


def test_only_the_spans_that_are_meant():
    body = payload((task(1), foreign(2), task(3), execution(4)))
    prepared = prepare((body, (0, 1, 3)), (payload((tool_call(5),)), (0,)))
    assert [span.span_id for span in spans(prepared)] == [span_id(number) for number in (1, 2, 4, 5)]
    assert [piece.spans for piece in prepared.pieces] == [4]
    assert (prepared.sampled, prepared.hidden, prepared.undecodable) == (0, 0, 0)
    assert {attributes_of(span)[a.POINT_ID] for span in spans(prepared)} == {str(SHOWN.id)}


def test_resources_and_scopes_stay_apart():
    prepared = prepare((payload((task(1),), scope="one"), (0,)), (payload((foreign(2),), scope="two"), (0,)))
    joined = TracesData.FromString(prepared.pieces[0].body)
    assert [scope.scope.name for each in joined.resource_spans for scope in each.scope_spans] == ["one", "two"]


def test_a_span_that_cannot_be_decoded_harms_no_other():
    broken = task(2).SerializeToString() + b"\x4a\x05\x0a\x03\xff\xfe\xfd"  # an attribute whose name is no UTF-8
    frame = TracesData(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[task(1), foreign(3)])])])
    body = frame.SerializeToString()
    inner = b"\x12" + bytes([len(broken) & 0x7F | 0x80, len(broken) >> 7]) + broken
    body += _field(1, _field(2, inner))
    prepared = prepare((body, (0, 1, 2)), (b"\xff\xff", (0, 1)))
    assert [span.span_id for span in spans(prepared)] == [span_id(1), span_id(3)]
    assert prepared.undecodable == 3


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content) & 0x7F | 0x80, len(content) >> 7]) + content


def test_what_is_kept_in_any_case_and_what_is_sampled():
    body = (payload((task(1), task(2))), (0, 1))
    standings = {span_id(1): SHOWN, span_id(2): FAILED}
    prepared = prepare(body, standing_of=standings.get, ratio=0.0, keep=Keep(outcomes=("failure",)))
    assert [span.span_id for span in spans(prepared)] == [span_id(2)]
    assert prepared.sampled == 1
    assert prepare(body, standing_of=lambda _: None, ratio=0.0, kept=True).sampled == 0


def test_what_no_view_shows_stays():
    prepared = prepare((payload((task(1), task(2))), (0, 1)), standing_of={span_id(1): HIDDEN}.get)
    assert prepared.hidden == 1
    (other,) = spans(prepared)
    assert other.span_id == span_id(2)
    assert a.POINT_ID not in attributes_of(other)


def test_a_large_task_is_cut():
    many = [span(number, "x") for number in range(1, 2 * PIECE_SPANS + 2)]
    prepared = prepare((payload(many), tuple(range(len(many)))))
    assert [piece.spans for piece in prepared.pieces] == [PIECE_SPANS, PIECE_SPANS, 1]
    assert len(spans(prepared)) == len(many)


def test_a_task_of_large_spans_is_cut():
    many = [span(number, "x", {"body": "x" * (PIECE_BYTES // 2)}) for number in range(1, 4)]
    prepared = prepare((payload(many), (0, 1, 2)))
    assert [piece.spans for piece in prepared.pieces] == [2, 1]
    assert len(spans(prepared)) == 3


def test_identities_of_spans():
    body = payload((task(1), foreign(2)))
    assert list(fact_ids(TRACE, [(body, (1,)), (b"\xff", (0,))])) == [TRACE.hex() + span_id(2).hex()]
