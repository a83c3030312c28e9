"""What arrives of children and of processes that end in every way, by both ways to a receiver."""

import sys
from collections import Counter
from itertools import product

import pytest
from support import busy_arbiter
from support.processor import wait_until

from otel_benchmark import attributes as a

TASKS = 40
SPANS = 4 + busy_arbiter.FOREIGN
ARBITER = ("-c", "from support import busy_arbiter; busy_arbiter.main()")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the other platforms don't fork by default")


def way(receiver, name):
    if name == "own exporter":
        return {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    return {"OTEL_BENCHMARK_ENDPOINT": receiver.url, "OTEL_BENCHMARK_PROTOCOL": name}


def tasks(receiver):
    """Names of the processes whose tasks came, with the number of them; none came twice or in part."""
    assert len({(s.span.trace_id, s.span.span_id) for s in receiver.spans}) == len(receiver.spans)
    by_trace = Counter(span.span.trace_id for span in receiver.spans)
    assert set(by_trace.values()) <= {SPANS}
    return Counter(span.attributes[a.TASK_ID].rpartition("-")[0] for span in receiver.named("task"))


@pytest.mark.parametrize(
    ("method", "name"),
    [
        *product(["fork", "prefork", "forkserver", "spawn"], ["http/protobuf", "grpc", "own exporter"]),
    ],
)
def test_children_send_what_they_did_and_nothing_of_their_parents(
    instrumented, http_receiver, grpc_receiver, method, name
):
    receiver = grpc_receiver if name == "grpc" else http_receiver()
    finished = instrumented(*ARBITER, method, str(TASKS), **busy_arbiter.TARGETS, **way(receiver, name))
    assert finished.stderr == ""
    assert tasks(receiver) == dict.fromkeys(["parent", "child0", "child1", "again"], TASKS)
    emitters: dict[str, list[int]] = {}
    peers: dict[str, set[str]] = {}
    for span in receiver.named("task"):
        emitters.setdefault(span.attributes[a.EMITTER_ID], []).append(span.attributes[a.EMITTER_SEQUENCE])
        peers.setdefault(span.peer, set()).add(span.attributes[a.EMITTER_ID])
    assert sorted(len(numbers) for numbers in emitters.values()) == [TASKS, TASKS, 2 * TASKS]
    assert all(sorted(numbers) == list(range(1, len(numbers) + 1)) for numbers in emitters.values())
    assert {len(ids) for ids in peers.values()} == {1}  # no connection is shared


def test_grpc_is_not_touched_in_a_child_of_a_parent_that_uses_it_otherwise(instrumented, grpc_receiver):
    finished = instrumented(*ARBITER, "beside gRPC", str(TASKS), **busy_arbiter.TARGETS, **way(grpc_receiver, "grpc"))
    assert tasks(grpc_receiver) == {"parent": TASKS, "again": TASKS}
    refused = "gRPC can't be used after a fork: set OTEL_BENCHMARK_PROTOCOL=http/protobuf"
    lines = finished.stderr.splitlines()
    assert lines
    assert all(refused in line for line in lines)


@pytest.mark.parametrize("name", ["http/protobuf", "grpc"])
def test_a_pool_that_is_closed_and_joined_sends_all(instrumented, http_receiver, grpc_receiver, name):
    """By gRPC too, since the parent has sent nothing."""
    receiver = grpc_receiver if name == "grpc" else http_receiver()
    instrumented(*ARBITER, "pool", str(TASKS), **busy_arbiter.TARGETS, **way(receiver, name))
    assert tasks(receiver) == {"child0": TASKS, "child1": TASKS}


def test_a_handler_of_the_hosts_own_stays_and_what_was_done_is_sent(instrumented, http_receiver):
    receiver = http_receiver()
    finished = instrumented(
        *ARBITER,
        "killed with handler",
        str(TASKS),
        check=False,
        **busy_arbiter.TARGETS,
        **way(receiver, "http/protobuf"),
    )
    assert (finished.returncode, finished.stderr) == (7, "")
    assert tasks(receiver) == {"first": TASKS}


@pytest.mark.parametrize(("end", "code"), [("exit at once", 0), ("killed", -15)])
def test_an_end_without_a_flush_loses_what_was_not_sent_yet_and_no_more(instrumented, http_receiver, end, code):
    receiver = http_receiver()
    finished = instrumented(
        *ARBITER,
        end,
        str(TASKS),
        check=False,
        steps=[lambda: wait_until(lambda: len(receiver.spans) == TASKS * SPANS)],
        **busy_arbiter.TARGETS,
        **way(receiver, "http/protobuf"),
    )
    assert finished.returncode == code
    found = Counter(span.attributes[a.TASK_ID].rpartition("-")[0] for span in receiver.named("task"))
    assert found["first"] == TASKS
    assert found["second"] <= TASKS  # what the thread happened to send meanwhile: whole batches, nothing twice
    assert len({span.span.span_id for span in receiver.spans}) == len(receiver.spans)
