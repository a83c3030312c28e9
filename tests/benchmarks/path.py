"""The whole path: spans a CPU-second of the processor's processes, acknowledged durable and stored.

A real `serve` with its embedded PostgreSQL takes OTLP/HTTP requests of 500 spans over four connections. CPU is what
the operating system charges: front and worker, each alone, PostgreSQL beside them. The ratios are to a bare parse of
the same bytes by protobuf's C parser, and to that with every attribute put into a dict, in this process and run. What
the privacy pass costs is compared with the same load without it. Of log records, which nobody stores as such, only
checking and splitting is measured.

Usage: python -m benchmarks.path [TASKS]
"""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from benchmarks.load import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from support.lifecycle import usual_task, whole_task
from support.logs import CONTENT, evaluated, log, logs_payload

from collector_processor.app.control import ask
from collector_processor.assemble import records as records_of_logs
from collector_processor.assemble.wire import split

CONNECTIONS = 4


class Cpu(NamedTuple):
    """CPU seconds so far, by what runs."""

    front: float
    workers: float
    postgres: float


def cpu(front: psutil.Process, folder: Path) -> Cpu:
    """Ask the operating system; sessions of PostgreSQL that have ended are charged to its main process."""

    def spent(process: psutil.Process, *, ended: bool = False) -> float:
        times = process.cpu_times()
        return times.user + times.system + (times.children_user + times.children_system if ended else 0.0)

    workers = [child for child in front.children() if "collector_processor.app.worker" in " ".join(child.cmdline())]
    postgres = psutil.Process(int((folder / "database/cluster/postmaster.pid").read_text().split()[0]))
    sessions = sum(map(spent, postgres.children()))
    return Cpu(spent(front), sum(map(spent, workers)), spent(postgres, ended=True) + sessions)


def walk(body: bytes) -> list[dict[str, Any]]:
    """What a collector does that decodes everything."""
    return [
        {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def send(port: int, bodies: Sequence[bytes]) -> None:
    """Post every body and wait until each is acknowledged."""
    shares = [bodies[start::CONNECTIONS] for start in range(CONNECTIONS)]
    errors: list[str] = []

    def post(share: Sequence[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for body in share:
            connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            if answer.status != 200:
                errors.append(f"{answer.status} {answer.read()!r}")
                return
            answer.read()
        connection.close()

    threads = [threading.Thread(target=post, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise SystemExit(errors[0])


def serve(folder: Path, privacy: str) -> Iterator[tuple[psutil.Process, int, int]]:
    """A processor of its own; it is gone when the iterator is."""
    environment = os.environ | {
        "COLLECTOR_PROCESSOR_DATA_DIR": str(folder),
        "COLLECTOR_PROCESSOR_OTLP_GRPC": "",
        "COLLECTOR_PROCESSOR_OTLP_HTTP": "127.0.0.1:0",
        "COLLECTOR_PROCESSOR_ADMIN": "127.0.0.1:0",
        "COLLECTOR_PROCESSOR_GRACE": "2s",
        "COLLECTOR_PROCESSOR_PRIVACY": privacy,
        "COLLECTOR_PROCESSOR_FLUSH_RECORDS": "1000",
        "COLLECTOR_PROCESSOR_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "collector_processor.cli", "serve"], stdout=subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield psutil.Process(process.pid), _port(ready["otlp_http"]), _port(ready["admin"])
    finally:
        process.terminate()
        process.wait(60)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def stages(admin: int) -> dict[str, float]:
    """Seconds of the worker so far by stage, as its processor tells; storing includes the wait for PostgreSQL."""
    connection = http.client.HTTPConnection("127.0.0.1", admin)
    connection.request("GET", "/metrics")
    told = connection.getresponse().read().decode()
    connection.close()
    return {name: float(spent) for name, spent in re.findall(r'batch_duration_seconds_sum{stage="(\w+)"} (\S+)', told)}


class Measured(NamedTuple):
    """What one load took: CPU seconds until acknowledged and until stored, by stage, and wall seconds until both."""

    front_until_acknowledged: float
    took: Cpu
    stages: dict[str, float]
    acknowledged: float
    stored: float

    @property
    def ours(self) -> float:
        """CPU seconds of the processor's own processes."""
        return self.took.front + self.took.workers


def run(bodies: Sequence[bytes], warming: Sequence[bytes], tasks: int, privacy: str) -> Measured:
    """Send a load to a new processor, and wait until it is stored."""
    with tempfile.TemporaryDirectory(prefix="otel-benchmark-bench-") as folder:
        Path(folder).chmod(0o755)
        for front, port, admin in serve(Path(folder), privacy):
            send(port, warming)
            ask(Path(folder), "flush", timeout=60)
            earlier = stages(admin)
            before, wall = cpu(front, Path(folder)), time.perf_counter()
            send(port, bodies)
            acknowledged = time.perf_counter() - wall
            received = cpu(front, Path(folder))
            ask(Path(folder), "flush", timeout=600)
            status = ask(Path(folder), "status")
            stored = time.perf_counter() - wall
            after = cpu(front, Path(folder))
            worked = {name: spent - earlier[name] for name, spent in stages(admin).items()}
    points = next(each["terms"] for each in status["equations"] if each["name"] == "records")
    assert points["accepted"] + points["quarantined"] == tasks, points
    took = Cpu(*(after[place] - before[place] for place in range(3)))
    return Measured(received.front - before.front, took, worked, acknowledged, stored)


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
    without, measured = (run(bodies, warming, tasks + 200, privacy) for privacy in ("off", "on"))
    print(f"{title}: {spans} spans in {len(bodies)} requests, {size / spans:.0f} bytes a span")
    print(f"  bare parse of the same bytes   {parse:10,.0f} spans a CPU-second")
    print(f"  … every attribute into a dict  {walked:10,.0f}")
    acknowledging = spans / measured.front_until_acknowledged
    rates = {"acknowledged durable (front)": acknowledging, "acknowledged and stored (all)": spans / measured.ours}
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
        f"  privacy on: {measured.ours / spans * 1e6:.2f} µs a span, off: {without.ours / spans * 1e6:.2f}:"
        f" {measured.ours / without.ours:.2f} x"
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
