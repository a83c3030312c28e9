"""What conversion costs: µs of CPU a task, stage by stage.

Usage: python -m benchmarks.convert [ROUNDS]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import process_time_ns
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from support.lifecycle import foreign, raw_task, usual_task, whole_task

from collector_processor.convert import FoldSettings, convert, fold, unite
from collector_processor.convert.arbiter import ArbiterAdapter
from collector_processor.convert.decode import decode
from collector_processor.convert.union import arrange
from collector_processor.guard import GateSettings, judge
from collector_processor.guard.tenants import hash_tenants
from collector_processor.model.record import encode_point, point_id
from collector_processor.model.stages import RawTask

FOREIGN = 24


def microseconds(work: Callable[[], Any], rounds: int) -> float:
    """The least of five measurements: the others were disturbed."""
    best = float("inf")
    for _ in range(5):
        start = process_time_ns()
        for _ in range(rounds):
            work()
        best = min(best, (process_time_ns() - start) / rounds / 1000)
    return best


def among_others(task: bytes) -> bytes:
    """The task with foreign spans below its execution."""
    traces = TracesData.FromString(task)
    traces.resource_spans[0].scope_spans[0].spans.extend(foreign(100 + number) for number in range(FOREIGN))
    return traces.SerializeToString()


def measure(title: str, raw: RawTask, rounds: int) -> None:
    """Print one table."""
    adapter, fold_settings, gate_settings = ArbiterAdapter(), FoldSettings(), GateSettings()
    decoded = decode(raw)
    converted = hash_tenants(convert(raw), None)
    facts = converted.facts
    assert facts is not None
    point = point_id(raw.sealed.trace_id, raw.sealed.span_id)
    record = fold(point, facts, 1, fold_settings)
    judged = judge(record, gate_settings).point

    def whole() -> bytes:
        facts = hash_tenants(convert(raw), None).facts
        assert facts is not None
        identity = point_id(raw.sealed.trace_id, raw.sealed.span_id)
        return encode_point(judge(fold(identity, facts, 1, fold_settings), gate_settings).point)

    stages: dict[str, Callable[[], Any]] = {
        "decode": lambda: decode(raw),
        "facts": lambda: adapter.read(raw.sealed, decoded),
        "arrange": lambda: arrange(facts),
        "fold": lambda: fold(point, facts, 1, fold_settings),
        "judge": lambda: judge(record, gate_settings),
        "encode": lambda: encode_point(judged),
        "all of these": whole,
        "unite with itself": lambda: unite(facts, facts),
    }
    print(f"{title}: {converted.spans} spans, {len(raw.payloads[0][1])} bytes → {len(whole())} bytes of JSON")
    for stage, work in stages.items():
        print(f"  {stage:<18}{microseconds(work, rounds):8.1f} µs")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    for title, task in (("every attribute", whole_task()), ("the usual attributes", usual_task())):
        measure(f"8 lifecycle + {FOREIGN} foreign spans, {title}", raw_task(among_others(task)), rounds)
        measure(f"8 lifecycle spans, {title}", raw_task(task), rounds)


if __name__ == "__main__":
    main()
