"""A backend that is down, slow or refuses, a forwarder that dies or stops: storing goes on, all is accounted for."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter

import trustme
from prometheus_client.parser import text_string_to_metric_families
from support.backend import BUSY, WRONG, Reply, backend, tls_of
from support.forwarding import failed_task, forward, forwarder, own, store, wait_for_account
from support.lifecycle import execution, foreign, route, task, tool_call
from support.processor import wait_for_end, wait_until

from collector_processor.forward.send import FRESH_SECONDS
from collector_processor.forward.tally import Drop
from otel_benchmark import attributes as a


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


def test_what_is_erased_while_the_backend_is_away_is_not_sent(forwarding, grpc_backend):
    """A task, and a tenant; beside the task a span of nobody's, which left the journal before."""
    grpc_backend.otherwise = BUSY
    processor = forwarding(grpc_backend, FOREIGN_TIMEOUT="1s")
    named, stays = own(foreign(90, parent=0), task(parent=90)), own(task(), execution())
    tenants = own(task(attributes={a.TENANT_ID: "acme"}), route())
    for sent in (named, tenants, stays):
        processor.send(*sent.spans)
    processor.settle()
    wait_until(lambda: forward(processor).problem and not processor.terms()["open"])
    for whose in (("--task", named.task_id), ("--tenant", "acme")):
        ran = processor.run("erase", *whose, "--yes", "--author", "ada", "--reason", "asked")
        assert ran.returncode == 0, ran.stderr
    # What was looked at a moment before the erasure may leave for so long.
    time.sleep(FRESH_SECONDS)
    grpc_backend.otherwise = Reply()
    now = wait_for_account(processor, 6)
    assert (now.sent, dict(now.dropped)) == (2, {Drop.NOT_SHOWN: 4})
    assert len(grpc_backend.spans) == len(grpc_backend.of(stays.trace_id)) == 2
    assert forward(processor).waiting_bytes == 0
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
    grpc_backend.otherwise = Reply(after=0.1)
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
