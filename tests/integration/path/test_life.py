"""A processor's doors, and a journal that is full."""

from __future__ import annotations

import json
import socket

import pytest
from google.rpc import status_pb2  # type: ignore[import-untyped]  # has no stubs
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from prometheus_client.parser import text_string_to_metric_families
from support.lifecycle import RESOURCE, execution, payload, task, tool_call, value_of
from support.processor import Own, Processor, own, whole_task

from collector_processor.app.reporting.admin import State
from otel_benchmark import attributes as a

# -- Doors -----------------------------------------------------------------------------------------


def test_health_readiness_and_metrics_are_answered(processor):
    processor.send(*whole_task().spans)
    processor.flush()
    processor.fresh_status()
    for path in ("/healthz", "/readyz"):
        answer = processor.admin(path)
        assert (answer.status, json.loads(answer.body)["state"]) == (200, "ok")
    answer = processor.admin("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [sample for family in text_string_to_metric_families(answer.body.decode()) for sample in family.samples]
    value = {sample.name: sample.value for sample in samples}
    assert value["otel_benchmark_database_up"] == 1
    assert value["otel_benchmark_total_data_points"] >= 1
    balanced = {
        sample.labels["equation"]: sample.value
        for sample in samples
        if sample.name == "otel_benchmark_equation_balanced"
    }
    assert balanced == {"journal spans": 1, "records": 1, "deep samples": 1, "database spans": 1}
    assert processor.admin("/elsewhere").status == 404


def test_commands_reach_the_running_processor(new_processor):
    processor = new_processor(GRACE="1m")
    processor.start()
    mine = whole_task()
    processor.send(*mine.spans)
    flushed = processor.run("flush", "--json")
    assert (flushed.returncode, json.loads(flushed.stdout)) == (0, {"sealed": 1})
    assert processor.record(mine.task_id)["completeness"]["endedBy"] == "flush"
    told = processor.run("status", "--json")
    assert told.returncode == 0
    status = json.loads(told.stdout)
    assert status["health"]["state"] == "ok"
    for equation in status["equations"]:
        assert equation["total"] == sum(equation["terms"].values())
    in_words = processor.run("status")
    assert "journal spans" in in_words.stdout
    assert "balances" in in_words.stdout


def test_without_being_asked_a_task_is_stored_after_its_grace(processor):
    mine = whole_task()
    processor.send(*mine.spans)
    processor.settle()
    record = processor.record(mine.task_id)
    assert record["completeness"] == {
        "seen": ["task", "routing", "execution", "evaluation"],
        "endedBy": "task_ended",
        "truncated": False,
    }
    asked = processor.run("sql", "--csv", f"SELECT valid FROM data_points WHERE task_id = '{mine.task_id}'")
    assert asked.stdout.split() == ["valid", "true"]
    processor.assert_balanced()


def test_a_second_processor_on_the_same_data_is_refused(processor):
    refused = processor.run("serve")
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert f"another process uses the journal {processor.data_dir / 'journal'}" in line
    assert "DATA_DIR" in line


@pytest.mark.parametrize("door", ["OTLP_GRPC", "OTLP_HTTP", "ADMIN"])
def test_a_port_in_use_is_told_by_its_setting(new_processor, door):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        processor = new_processor(**{door: address})
        refused = processor.run("serve")
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("otel-benchmark:")]
    assert f"COLLECTOR_PROCESSOR_{door}" in line
    assert address in line
    # The failed start holds nothing.
    with new_processor():
        pass


def test_a_data_directory_that_cannot_be_is_told_by_its_setting(tmp_path):
    (tmp_path / "file").touch()
    refused = Processor(tmp_path / "file" / "data", "embedded").run("serve")
    assert refused.returncode == 2
    assert "COLLECTOR_PROCESSOR_DATA_DIR" in refused.stderr
    assert "Not a directory" in refused.stderr


def test_a_flush_waits_for_the_workers_although_a_stop_would_not(new_processor):
    with new_processor(DRAIN_TIMEOUT="0s", GRACE="60s") as processor:
        mine = whole_task()
        processor.send(*mine.spans)
        assert processor.flush() == 1
        assert processor.record(mine.task_id)


# -- Full ------------------------------------------------------------------------------------------


def test_a_noisy_service_leaves_room_for_others_until_it_is_quiet(new_processor):
    with new_processor(JOURNAL_MAX_BYTES="1MiB") as processor:
        tasks: list[Own] = []
        while True:
            mine = own(task(), execution())
            mine.spans[1].attributes.append(KeyValue(key="http.request.body", value=value_of("x" * 30_000)))
            answer = processor.post(payload(mine.spans[1:]))
            if answer.status != 200:
                break
            tasks.append(mine)
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        assert "acme/orchestrator holds" in status_pb2.Status.FromString(answer.body).message
        assert "share" in processor.status().health.conditions
        quiet = whole_task()
        processor.send(*quiet.spans, resource=RESOURCE | {a.SERVICE_NAME: "quiet"})
        for each in tasks:
            processor.send(each.spans[0])
        assert set(processor.settle().health.conditions) <= {"shed", "refused"}, "what was in the last minute"
        processor.send(*mine.spans)
        processor.settle()
        assert processor.record(quiet.task_id)
        assert processor.record(mine.task_id)


def test_a_full_journal_refuses_and_recovers_by_the_tasks_that_drain_it(new_processor):
    with new_processor(JOURNAL_MAX_BYTES="1MiB", SERVICE_SHARE="1") as processor:
        tasks: list[Own] = []
        while True:
            mine = own(task(), execution(), tool_call())
            mine.spans[1].attributes.append(KeyValue(key="http.request.body", value=value_of("x" * 30_000)))
            answer = processor.post(payload(mine.spans[1:]))
            if answer.status != 200:
                break
            tasks.append(mine)
        assert answer.status == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 3
        assert "the journal is full" in status_pb2.Status.FromString(answer.body).message
        assert len(tasks) >= 10
        status = processor.status()
        assert status.health.state is State.DEGRADED
        assert {"journal_half", "refused"} <= set(status.health.conditions)
        assert json.loads(processor.admin("/healthz").body)["conditions"] == list(status.health.conditions)
        assert b'otel_benchmark_health_condition{condition="journal_half"} 1.0' in processor.admin("/metrics").body
        assert processor.admin("/readyz").status == 200
        for each in tasks:
            processor.send(each.spans[0])
        processor.settle()
        processor.send(*mine.spans)
        processor.settle()
        assert sorted(processor.stored_tasks()) == sorted(each.task_id for each in [*tasks, mine])
        assert processor.terms()["received"] == 3 * (len(tasks) + 1)
        assert set(processor.status().health.conditions) <= {"refused"}, "what was in the last minute"
        processor.assert_balanced()
