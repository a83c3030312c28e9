"""The whole path: spans a CPU-second of the processor's processes, acknowledged durable and stored.

A real `serve` with its embedded PostgreSQL takes OTLP/HTTP requests of 500 spans over four connections. CPU is what
the operating system charges: front and worker, each alone, PostgreSQL beside them. The ratios are to a bare parse of
the same bytes by protobuf's C parser, and to that with every attribute put into a dict, in this process and run. What
the privacy pass costs is compared with the same load without it. Of log records, which nobody stores as such, only
checking and splitting is measured.

Usage: python -m benchmarks.path [TASKS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.load import requests
from benchmarks.processor import Cpu, send, serve
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from support.lifecycle import usual_task, whole_task
from support.logs import CONTENT, evaluated, log, logs_payload

from collector_processor.app.control import ask
from collector_processor.assemble import records as records_of_logs
from collector_processor.assemble.wire import split


def walk(body: bytes) -> list[dict[str, Any]]:
    """What a collector does that decodes everything."""
    return [
        {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


class Measured(NamedTuple):
    """What one load took: CPU seconds until acknowledged and until stored, by stage, and wall seconds until both.

    `in_all` is until its deep facets are stored as well.
    """

    front_until_acknowledged: float
    took: Cpu
    in_all: Cpu
    stages: dict[str, float]
    acknowledged: float
    stored: float


def analysed(folder: Path) -> dict[str, Any]:
    """Wait until no deep facet is pending; the status then."""
    while True:
        status: dict[str, Any] = ask(folder, "status")
        if not status["analysis"]["pending"]:
            return status
        time.sleep(1)


def run(bodies: Sequence[bytes], warming: Sequence[bytes], tasks: int, **settings: str) -> Measured:
    """Send a load to a new processor, and wait until it is stored, and after that its deep facets."""
    with tempfile.TemporaryDirectory(prefix="otel-benchmark-bench-") as folder:
        Path(folder).chmod(0o755)
        with serve(Path(folder), GRACE="2s", **settings) as processor:
            send(processor.otlp, warming)
            ask(Path(folder), "flush", timeout=60)
            analysed(Path(folder))
            earlier = processor.stages()
            before, wall = processor.cpu(), time.perf_counter()
            send(processor.otlp, bodies)
            acknowledged = time.perf_counter() - wall
            received = processor.cpu()
            ask(Path(folder), "flush", timeout=600)
            stored = time.perf_counter() - wall
            after = processor.cpu()
            worked = {name: seconds - earlier[name] for name, seconds in processor.stages().items()}
            status = analysed(Path(folder))
            in_all = processor.cpu().since(before)
    points = next(each["terms"] for each in status["equations"] if each["name"] == "records")
    assert points["accepted"] + points["quarantined"] == tasks, points
    return Measured(received.front - before.front, after.since(before), in_all, worked, acknowledged, stored)


def measure(title: str, tasks: int, foreign: int, task: Callable[[], bytes] = usual_task) -> None:
    """One load, one table."""
    bodies, warming = list(requests(tasks, foreign, task)), list(requests(200, foreign, task))
    spans = tasks * (8 + foreign)
    size = sum(map(len, bodies))
    began = time.process_time()
    for body in bodies:
        ExportTraceServiceRequest.FromString(body)
    parse = spans / (time.process_time() - began)
    began = time.process_time()
    for body in bodies:
        walk(body)
    walked = spans / (time.process_time() - began)
    without, measured = (run(bodies, warming, tasks + 200, PRIVACY=privacy) for privacy in ("off", "on"))
    print(f"{title}: {spans} spans in {len(bodies)} requests, {size / spans:.0f} bytes a span")
    print(f"  bare parse of the same bytes   {parse:10,.0f} spans a CPU-second")
    print(f"  … every attribute into a dict  {walked:10,.0f}")
    acknowledging = spans / measured.front_until_acknowledged
    rates = {"acknowledged durable (front)": acknowledging, "acknowledged and stored (all)": spans / measured.took.ours}
    for what, rate in rates.items():
        print(f"  {what:<30} {rate:10,.0f}   {rate / parse:.2f} x the parse, {rate / walked:.2f} x the dicts")
    for name, seconds in zip(Cpu._fields, measured.took, strict=True):
        print(f"    {name:<10}{seconds / spans * 1e6:8.2f} µs a span{seconds / tasks * 1e6:9.0f} µs a task")
    began = time.process_time()
    for body in bodies:
        split(body)
    parts = {"check and split": time.process_time() - began, **measured.stages}
    print("  stages, µs a span: " + ", ".join(f"{name} {spent / spans * 1e6:.2f}" for name, spent in parts.items()))
    print(
        f"  privacy on: {measured.took.ours / spans * 1e6:.2f} µs a span, off: {without.took.ours / spans * 1e6:.2f}:"
        f" {measured.took.ours / without.took.ours:.2f} x"
    )
    wall = (spans / seconds for seconds in (measured.acknowledged, measured.stored))
    print("  wall: acknowledged {:,.0f} spans a second, stored {:,.0f}".format(*wall))


def measure_log_records(records: int) -> None:
    """Check and split log records of one kind each: what an intake costs beside a bare parse of the same bytes."""
    said = {"code.function.name": "handle", "http.route": "/tasks", "thread.id": 140_203_456}
    kinds: dict[str, Callable[[int], LogRecord]] = {
        "of an application": lambda n: log("", said, at=n, trace_id=_trace(n), body="request handled in 12 ms"),
        "messages of models": lambda n: log(CONTENT, said, at=n, trace_id=_trace(n), body="word " * 400),
        "evaluations": lambda n: evaluated(at=n, trace_id=_trace(n)),
    }
    print(f"log records, {records} of each kind in requests of 500, eight of them a trace")
    for kind, make in kinds.items():
        bodies = [logs_payload([make(n) for n in range(first, first + 500)]) for first in range(0, records, 500)]
        began = time.process_time()
        for body in bodies:
            ExportLogsServiceRequest.FromString(body)
        parsed = time.process_time() - began
        began = time.process_time()
        for body in bodies:
            records_of_logs.split(body)
        took = time.process_time() - began
        size = sum(map(len, bodies)) / records
        print(f"  {kind:<20}{size:6.0f} bytes{took / records * 1e6:8.2f} µs each: {took / parsed:.2f} x the bare parse")


def _trace(number: int) -> bytes:
    return (number // 8 + 1).to_bytes(16, "big")


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 6000
    measure("8 lifecycle + 24 foreign spans a task", tasks, 24)
    measure("8 lifecycle spans a task", tasks, 0)
    measure("8 lifecycle spans a task, with every attribute there is", tasks, 0, whole_task)
    measure_log_records(20_000)


if __name__ == "__main__":
    main()
