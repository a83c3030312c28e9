"""From the application's request to the backend's: a real processor, its forwarder process, and a real receiver."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from typing import Any

import psutil
import trustme
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families
from support.backend import BUSY, WRONG, Reply, attributes_of, backend, tls_of
from support.lifecycle import T0, evaluation, execution, foreign, route, span_id, task, tool_call
from support.processor import Own, Processor, wait_for_end, wait_until
from support.processor import own as of_long_ago

from collector_processor.app.status import Forward
from collector_processor.forward.tally import Drop
from otel_benchmark import attributes as a

SECRET = "PLANTED-4711"
SINCE = time.time_ns() - T0 - 10**10
"""From the time of tests' spans until now: old records may have been retired when they are looked for."""


def own(*spans: Span, **ids: Any) -> Own:
    """Spans of a trace of its own, of ten seconds ago."""
    sent = of_long_ago(*spans, **ids)
    for span in sent.spans:
        span.start_time_unix_nano += SINCE
        span.end_time_unix_nano += SINCE
    return sent


def forwarder(processor: Processor) -> psutil.Process:
    (found,) = [each for each in processor.workers if any("forwarder" in word for word in each.cmdline())]
    return found


def forward(processor: Processor) -> Forward:
    found = processor.status().forward
    assert found is not None
    return found


def accounted(processor: Processor) -> int:
    now = forward(processor)
    return now.sent + now.sampled_out + sum(now.dropped.values())


def wait_for_account(processor: Processor, spans: int) -> Forward:
    """Come back when it is known of so many spans what became of them."""
    wait_until(lambda: accounted(processor) >= spans)
    now = forward(processor)
    assert accounted(processor) == spans
    return now


def whole_task(**more) -> Own:
    return own(task(), route(), execution(), tool_call(), foreign(5), evaluation(), **more)


def failed_task() -> Own:
    return own(task(), route(), execution(attributes={a.EXECUTION_SUCCESS: False}))


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
    processor = forwarding(grpc_backend, FORWARD_RATIO="0", FORWARD_KEEP="failed", FOREIGN_TIMEOUT="2s")
    good = own(task(parent=90), foreign(90, parent=0))
    bad = own(task(parent=90), execution(attributes={a.EXECUTION_SUCCESS: False}), foreign(90, parent=0))
    processor.send(*good.spans, *bad.spans)
    processor.flush()
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


# -- Trouble ---------------------------------------------------------------------------------------


def store(processor: Processor, tasks: int) -> None:
    """Send tasks and see them stored: the main path at work."""
    before = len(processor.rows("SELECT id FROM data_points"))
    for _ in range(tasks):
        processor.send(*failed_task().spans)
    processor.flush()
    assert len(processor.rows("SELECT id FROM data_points")) == before + tasks
    processor.assert_balanced()


def test_the_backend_may_be_away(forwarding, grpc_backend):
    grpc_backend.otherwise = BUSY
    processor = forwarding(grpc_backend)
    store(processor, 5)
    wait_until(lambda: forward(processor).problem)
    now = forward(processor)
    assert now.waiting_bytes > 0
    assert processor.status().health.state == "ok"
    lines = processor.run("status").stdout
    assert f"{grpc_backend.endpoint}: {now.problem}" in lines
    grpc_backend.otherwise = Reply()
    assert wait_for_account(processor, 15).sent == 15
    assert forward(processor).waiting_bytes == 0
    assert len(grpc_backend.spans) == 15
    processor.stop()


def test_nobody_may_listen_there(forwarding):
    with backend("grpc") as gone:
        pass
    processor = forwarding(gone)
    store(processor, 5)
    wait_until(lambda: forward(processor).problem)
    processor.stop()


def test_a_slow_backend_slows_nobody(forwarding, grpc_backend):
    grpc_backend.otherwise = Reply(after=1.0)
    processor = forwarding(grpc_backend)
    store(processor, 3)
    store(processor, 3)
    assert wait_for_account(processor, 18).sent == 18
    processor.stop()


def test_a_backend_that_refuses(forwarding, any_backend):
    any_backend.otherwise = WRONG
    processor = forwarding(any_backend)
    store(processor, 2)
    now = wait_for_account(processor, 6)
    assert now.dropped == {Drop.REFUSED: 6}
    assert now.problem
    counted = Counter(
        {
            sample.labels["outcome"]: sample.value
            for family in text_string_to_metric_families(processor.admin("/metrics").body.decode())
            for sample in family.samples
            if sample.name == "otel_benchmark_forwarded_spans_total"
        }
    )
    assert counted["refused"] == 6
    assert counted["sent"] == 0
    processor.stop()


def test_memory_is_bounded_while_the_backend_is_away(forwarding, grpc_backend):
    grpc_backend.otherwise = BUSY
    processor = forwarding(grpc_backend, FORWARD_QUEUE_BYTES="1MiB", GRACE="30s", FLUSH_INTERVAL="30s")
    filler = [tool_call(number, attributes={a.GEN_AI_TOOL_CALL_ARGUMENTS: "x" * 50_000}) for number in range(10, 20)]
    for _ in range(4):
        processor.send(*own(task(), execution(), *filler).spans)
    processor.flush()
    wait_until(lambda: forward(processor).dropped)
    assert forward(processor).waiting_bytes <= 1 << 20
    processor.assert_balanced()
    grpc_backend.otherwise = Reply()
    now = wait_for_account(processor, 48)
    assert set(now.dropped) == {Drop.NO_ROOM}
    assert now.sent + now.dropped[Drop.NO_ROOM] == 48
    processor.stop()


def test_a_killed_forwarder_is_replaced_and_disturbs_nobody(forwarding, grpc_backend):
    grpc_backend.otherwise = BUSY
    processor = forwarding(grpc_backend)
    workers = {each.pid for each in processor.workers} - {forwarder(processor).pid}
    store(processor, 2)
    wait_until(lambda: forward(processor).problem)
    killed = forwarder(processor)
    killed.send_signal(signal.SIGKILL)
    now = wait_for_account(processor, 6)
    assert now.dropped == {Drop.NOT_RUNNING: 6}
    wait_until(lambda: forward(processor).problem is None)
    grpc_backend.otherwise = Reply()
    store(processor, 2)
    wait_until(lambda: forward(processor).sent == 6)
    assert {each.pid for each in processor.workers} >= workers
    processor.stop()


def test_a_stopped_forwarder_is_not_waited_for(forwarding, grpc_backend):
    """SIGSTOP: it neither reads nor ends. What left the journal meanwhile is counted when it goes on."""
    processor = forwarding(grpc_backend)
    stopped = forwarder(processor)
    os.kill(stopped.pid, signal.SIGSTOP)
    try:
        store(processor, 2)
        store(processor, 2)
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    now = wait_for_account(processor, 12)
    assert now.dropped == {Drop.LATE: 12}
    store(processor, 1)
    assert wait_for_account(processor, 15).sent == 3
    processor.stop()


def test_the_forwarder_ends_with_its_front_and_the_next_one_goes_on(forwarding, grpc_backend):
    processor = forwarding(grpc_backend, GRACE="2s")
    sent = failed_task()
    processor.send(*sent.spans)
    wait_for_end(processor.kill())
    processor.start()
    assert wait_for_account(processor, 3).sent == 3
    assert len(grpc_backend.of(sent.trace_id)) == 3
    processor.stop()


def test_what_waits_is_sent_at_the_end(forwarding, grpc_backend):
    grpc_backend.otherwise = Reply(after=0.3)
    processor = forwarding(grpc_backend)
    for _ in range(5):
        processor.send(*failed_task().spans)
    processor.stop()
    processor.start()
    wait_until(lambda: len(processor.rows("SELECT id FROM data_points")) == 5)
    processor.stop()
    assert len(grpc_backend.spans) == 15


def test_tls_with_an_authority_of_ones_own(forwarding, tmp_path):
    authority = trustme.CA()
    server, ours = authority.issue_cert("localhost"), authority.issue_cert("processor@example.org")
    files = {"CA_FILE": authority.cert_pem, "CERT_FILE": ours.cert_chain_pems[0], "KEY_FILE": ours.private_key_pem}
    settings = {}
    for name, blob in files.items():
        blob.write_to_path(tmp_path / name)
        settings[f"FORWARD_{name}"] = str(tmp_path / name)
    with backend("http/protobuf", tls_of(server, authority)) as secure:
        processor = forwarding(secure, **settings)
        store(processor, 1)
        assert wait_for_account(processor, 3).sent == 3
        processor.stop()
    assert len(secure.spans) == 3


def test_without_an_endpoint_nothing_runs_and_it_is_said(forwarding, grpc_backend):
    processor = forwarding(grpc_backend, FORWARD_ENDPOINT="", FORWARD_PROTOCOL="auto")
    status = json.loads(processor.run("status", "--json").stdout)
    assert status["forward"] is None
    assert "forwarding" in {off["what"] for off in status["off"]}
    assert not [each for each in processor.workers if any("forwarder" in word for word in each.cmdline())]
    processor.stop()
