"""Quality through the real processor: severities as configured, outliers by earlier tasks, results in SQL."""

from __future__ import annotations

import time
from collections.abc import Callable

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.lifecycle import MS, T0, evaluation, execution, route, task
from support.processor import Processor, own, wait_until

from otel_benchmark import attributes as a

HOUR = 3600 * 1000 * MS
LOW = {a.EVALUATION_OVERALL_SCORE: 0.1}


def spans_of(latency_ms: float, *, start: int, success: bool | None = None) -> list[Span]:
    """A whole task that took so long, received at `start` (ns)."""
    said = {} if success is None else {a.EXECUTION_SUCCESS: success}
    made = [
        task(end=latency_ms + 2000),
        route(),
        execution(start=30, end=30 + latency_ms, attributes=said),
        evaluation(start=latency_ms + 100, end=latency_ms + 110, attributes=LOW if success else {}),
    ]
    for span in made:
        span.start_time_unix_nano += start - T0
        span.end_time_unix_nano += start - T0
    return made


def off(processor: Processor) -> dict[str, str]:
    return {each.what: each.why for each in processor.status().off}


def test_an_outlier_is_flagged_once_enough_is_known(new_processor: Callable[..., Processor]) -> None:
    settings = {
        "OUTLIER_MIN_TASKS": "10",
        "OUTLIER_WINDOW": "24h",
        "GATE_SEVERITIES": "latency-outlier=error,success-quality=warning",
    }
    two_hours_ago = time.time_ns() - 2 * HOUR
    with new_processor(**settings) as processor:
        processor.wait_for(lambda status: "latency-outlier" in {each.what for each in status.off})
        assert off(processor)["latency-outlier"] == (
            "no bound for code-editing (0), data-analysis (0), design (0), planning (0), research (0):"
            " it takes 10 tasks of a type in 1d"
        )
        far = own(*spans_of(600_000, start=two_hours_ago), task_id="cold")
        usual = [own(*spans_of(500 + number, start=two_hours_ago)) for number in range(10)]
        for each in (far, *usual):
            processor.send(*each.spans)
        processor.settle()
        assert processor.record("cold")["state"] == "accepted"

    with new_processor(**settings) as processor:
        processor.wait_for(
            lambda status: any(each.what == "latency-outlier" and "code-editing" not in each.why for each in status.off)
        )
        assert "code-editing (0)" in off(processor)["token-outlier"]
        now = time.time_ns() - 700_000 * MS
        processor.send(*own(*spans_of(600_000, start=now), task_id="far").spans)
        processor.send(*own(*spans_of(510, start=now, success=True), task_id="usual").spans)
        processor.settle()
        record = processor.record("far")
        assert record["state"] == "quarantined"
        [failure] = [gate for gate in record["verdict"]["gatesFailed"] if gate["severity"] == "error"]
        assert failure["gate"] == "latency-outlier"
        assert failure["reason"].startswith("execution.latencyMs = 600000 is above ")
        assert "11 code-editing tasks from " in failure["reason"]
        assert record["facts"]["baseline"]["latencyMs"]["tasks"] == 11
        assert processor.record("usual")["state"] == "accepted"
        [judged] = processor.rows("SELECT severity FROM failed_gates WHERE gate = 'success-quality'")
        assert judged == {"severity": "warning"}

        # A late part of the task that was judged first, when nothing was known: it stays no outlier.
        late = route(99)
        late.trace_id = far.trace_id
        late.start_time_unix_nano = late.end_time_unix_nano = two_hours_ago + 15 * MS
        late.attributes[0].value.string_value = "cold"
        processor.send(late)
        wait_until(lambda: processor.record("cold")["revision"] == 2)
        record = processor.record("cold")
        assert (record["state"], record["facts"]["baseline"]) == ("accepted", None)

        rates = processor.rows(
            "SELECT sum(checked)::int AS checked, sum(failed)::int AS failed FROM gate_results"
            " WHERE gate = 'latency-outlier' AND task_type = 'code-editing'"
        )
        assert rates == [{"checked": 13, "failed": 1}]
        assert len({row["gate"] for row in processor.rows("SELECT gate FROM gate_results")}) == 17
        processor.assert_balanced()
