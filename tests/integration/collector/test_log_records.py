"""Evaluations as log records through `agent.yaml` and `gateway.yaml`."""

from __future__ import annotations

import pytest
from support.lifecycle import execution, payload, route, task
from support.logs import evaluated, log, logs_payload
from support.processor import Own, http_request, own, wait_until

PROTOBUF = {"content-type": "application/x-protobuf"}


def send(collector, signal: str, body: bytes) -> None:
    answer = http_request(collector.addresses["OTLP_HTTP"], "POST", f"/v1/{signal}", body, PROTOBUF)
    assert answer.status == 200, (answer, collector.log)


def send_tasks(collector, count: int) -> list[Own]:
    """Tasks without an evaluation, and their evaluations as log records."""
    tasks = [own(task(), route(), execution()) for _ in range(count)]
    for each in tasks:
        send(collector, "traces", payload(each.spans))
    send(collector, "logs", logs_payload([evaluated(trace_id=each.trace_id) for each in tasks] + [log("app.start")]))
    return tasks


def scores(processor) -> dict[str, float]:
    return {
        row["task_id"]: row["overall_score"] for row in processor.rows("SELECT task_id, overall_score FROM data_points")
    }


@pytest.mark.parametrize("killed", [False, True], ids=["at once", "after a kill"])
def test_log_records_come_to_the_processor_behind_an_agent(new_collector, new_processor, killed):
    processor = new_processor()
    agent = new_collector("agent.yaml", PROCESSOR=processor)
    agent.start()
    if killed:
        tasks = send_tasks(agent, 3)
        agent.kill()
        agent.start()
    with processor:
        if not killed:
            tasks = send_tasks(agent, 3)
        wait_until(lambda: scores(processor) == {each.task_id: 0.7 for each in tasks})
        assert processor.terms()["foreign"] == 1
        processor.assert_balanced()
        agent.stop()


def test_behind_a_gateway_evaluations_find_their_records_in_the_common_database(new_collector, new_processor):
    """load_balancing hashes a trace id of log records in another form than one of spans: half of them go astray."""
    first = new_processor("first", FOREIGN_TIMEOUT="1s")
    second = new_processor("second", FOREIGN_TIMEOUT="1s", DATABASE_URL=first.database_url)
    gateway = new_collector("gateway.yaml", PROCESSOR_FIRST=first, PROCESSOR_SECOND=second)
    with first, second:
        gateway.start()
        tasks = send_tasks(gateway, 20)
        wait_until(lambda: scores(first) == {each.task_id: 0.7 for each in tasks})
        assert first.rows("SELECT * FROM orphans") == []
        gateway.stop()
