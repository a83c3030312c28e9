"""From the application's request to the backend's: a real processor, its forwarder process, and a real receiver."""

from __future__ import annotations

from support.backend import attributes_of
from support.forwarding import own, wait_for_account, whole_task
from support.lifecycle import evaluation, execution, foreign, route, span_id, task, tool_call

from collector_processor.forward.tally import Drop
from otel_benchmark import attributes as a

SECRET = "PLANTED-4711"


# -- What is forwarded -----------------------------------------------------------------------------


def test_a_task_arrives_with_its_points_id(forwarding, any_backend):
    processor = forwarding(any_backend)
    sent = whole_task()
    processor.send(*sent.spans)
    processor.flush()
    now = wait_for_account(processor, 6)
    assert (now.sent, now.dropped, now.problem) == (6, {}, None)
    came = any_backend.of(sent.trace_id)
    assert {span.span_id: span.parent_span_id for span in sent.spans} == {
        span.span_id: span.parent_span_id for span in came.values()
    }
    (row,) = processor.rows("SELECT id, trace_id, gates_failed, state FROM data_points")
    for span in came.values():
        described = attributes_of(span)
        assert described[a.POINT_ID] == str(row["id"])
        assert described[a.POINT_STATE] == row["state"]
        assert described.get(a.POINT_GATES_FAILED, []) == row["gates_failed"]
        assert span.trace_id.hex() == row["trace_id"]
    processor.assert_balanced()
    processor.stop()


def test_what_stands_above_and_beside_tasks_follows_once(forwarding, grpc_backend):
    """A root that is no task leaves the journal later; traces without tasks stay out."""
    processor = forwarding(grpc_backend, FOREIGN_TIMEOUT="1s")
    above = own(task(parent=90), foreign(90, parent=0), foreign(91, parent=90))
    elsewhere = own(foreign(1, parent=0), foreign(2, parent=1))
    processor.send(*above.spans)
    processor.send(*elsewhere.spans)
    wait_for_account(processor, 3)
    came = grpc_backend.of(above.trace_id)
    assert set(came) == {span_id(1), span_id(90), span_id(91)}
    assert a.POINT_ID not in attributes_of(came[span_id(90)])
    assert processor.wait_for(lambda status: not status.place.open_spans)
    assert grpc_backend.of(elsewhere.trace_id) == {}
    processor.stop()


def test_late_spans_come_with_the_verdict_of_now(forwarding, grpc_backend):
    processor = forwarding(grpc_backend)
    first = own(task(), route(), execution(attributes={a.EXECUTION_SUCCESS: True}))
    processor.send(*first.spans)
    processor.flush()
    wait_for_account(processor, 3)
    assert attributes_of(grpc_backend.of(first.trace_id)[span_id(1)])[a.POINT_STATE] == "accepted"
    late = own(evaluation(attributes={a.EVALUATION_OVERALL_SCORE: 0.1}), task_id=first.task_id, trace_id=first.trace_id)
    processor.send(*late.spans)
    processor.flush()
    wait_for_account(processor, 4)
    described = attributes_of(grpc_backend.of(first.trace_id)[span_id(9)])
    assert described[a.POINT_STATE] == "quarantined"
    assert "success-quality" in described[a.POINT_GATES_FAILED]
    processor.stop()


def test_an_evaluation_of_another_trace_names_the_point_that_it_joined(forwarding, grpc_backend):
    processor = forwarding(grpc_backend)
    first = whole_task()
    processor.send(*first.spans)
    processor.flush()
    wait_for_account(processor, 6)
    other = own(evaluation(parent=0), task_id=first.task_id)
    processor.send(*other.spans)
    stray = own(evaluation(parent=0), task_id="a task that nobody knows")
    processor.send(*stray.spans)
    processor.flush()
    wait_for_account(processor, 8)
    (row,) = processor.rows("SELECT id FROM data_points")
    assert attributes_of(grpc_backend.of(other.trace_id)[span_id(9)])[a.POINT_ID] == str(row["id"])
    assert a.POINT_ID not in attributes_of(grpc_backend.of(stray.trace_id)[span_id(9)])
    processor.stop()


def test_what_no_view_shows_is_not_forwarded(forwarding, grpc_backend):
    """A late span of a record that was discarded meanwhile."""
    processor = forwarding(grpc_backend)
    bad = own(
        task(),
        execution(attributes={a.EXECUTION_SUCCESS: True}),
        evaluation(attributes={a.EVALUATION_OVERALL_SCORE: 0.1}),
    )
    processor.send(*bad.spans)
    processor.flush()
    wait_for_account(processor, 3)
    (row,) = processor.rows("SELECT id FROM quarantine")
    assert processor.run("quarantine", "discard", str(row["id"]), "--author", "me", "--reason", "no").returncode == 0
    processor.send(*own(tool_call(), task_id=bad.task_id, trace_id=bad.trace_id).spans)
    processor.flush()
    assert wait_for_account(processor, 4).dropped == {Drop.NOT_SHOWN: 1}
    processor.stop()


def test_no_planted_text_leaves_or_is_told(forwarding, grpc_backend):
    """Not to the backend, and the header that opens it nowhere else."""
    processor = forwarding(grpc_backend, FORWARD_HEADERS=f"authorization={SECRET}-header")
    planted = {
        a.TASK_DESCRIPTION: SECRET,
        a.TENANT_ID: SECRET,
        "customer": SECRET,
        SECRET: 1,
        a.TASK_ATTEMPT: SECRET,
        a.USER_ID: SECRET,
    }
    sent = own(
        task(attributes=planted, error=SECRET, trace_state=f"v={SECRET}"),
        execution(attributes={a.EXECUTION_FAILURE_REASON: SECRET, a.EXECUTION_SUCCESS: False}),
        foreign(5),
    )
    sent.spans[2].name = f"GET /{SECRET}"
    processor.send(*sent.spans, resource={a.SERVICE_NAME: "shop", "host.name": SECRET})
    processor.flush()
    wait_for_account(processor, 3)
    assert len(grpc_backend.of(sent.trace_id)) == 3
    assert SECRET.encode() not in grpc_backend.raw
    assert grpc_backend.seen[0][1]["authorization"] == f"{SECRET}-header"
    tenant = attributes_of(grpc_backend.of(sent.trace_id)[span_id(1)])[a.TENANT_HASH]
    assert [tenant] == [row["tenant_id"] for row in processor.rows("SELECT tenant_id FROM data_points")]
    told = processor.run("status", "--json").stdout + processor.run("config", "show").stdout + processor.log
    assert SECRET not in told + processor.admin("/metrics").body.decode()
    processor.stop()


# -- Sampling --------------------------------------------------------------------------------------


def test_failures_are_kept_whatever_the_ratio_and_the_rest_of_their_trace(forwarding, grpc_backend):
    processor = forwarding(grpc_backend, FORWARD_RATIO="0", FORWARD_KEEP="failed", FOREIGN_TIMEOUT="1s")
    good = own(task(parent=90), foreign(90, parent=0))
    bad = own(task(parent=90), execution(attributes={a.EXECUTION_SUCCESS: False}), foreign(90, parent=0))
    processor.send(*good.spans[:-1], *bad.spans[:-1])
    processor.flush()
    wait_for_account(processor, 3)  # however long storing takes, the outcome is known when their roots leave
    processor.send(good.spans[-1], bad.spans[-1])
    now = wait_for_account(processor, 5)
    assert (now.sent, now.sampled_out, now.dropped) == (3, 2, {})
    assert set(grpc_backend.of(bad.trace_id)) == {span_id(1), span_id(3), span_id(90)}
    assert grpc_backend.of(good.trace_id) == {}
    processor.stop()


def test_a_ratio_is_written_into_the_tracestate(forwarding, grpc_backend):
    processor = forwarding(grpc_backend, FORWARD_RATIO="0.5")
    low, high = bytes(9) + b"\x7f" + b"\xff" * 6, bytes(8) + b"\x01\x80" + bytes(6)
    for trace_id in (low, high):
        processor.send(*own(task(), route(), trace_id=trace_id).spans)
    processor.flush()
    now = wait_for_account(processor, 4)
    assert (now.sent, now.sampled_out) == (2, 2)
    assert {span.trace_state for span in grpc_backend.of(high).values()} == {"ot=th:8"}
    processor.stop()
