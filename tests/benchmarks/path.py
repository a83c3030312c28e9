"""The whole path: spans a CPU-second of the processor's processes, acknowledged durable and stored.

A real `serve` with its embedded PostgreSQL takes OTLP/HTTP requests of 500 spans over four connections. CPU is what
the operating system charges: front and worker, each alone, PostgreSQL beside them. The ratio is to a bare parse of
the same bytes by protobuf's C parser in this process, in the same run.

Usage: python -m benchmarks.path [TASKS]
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
from benchmarks.load import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector_processor.app.control import ask

CONNECTIONS = 4


class Cpu(NamedTuple):
    """CPU seconds so far, by what runs."""

    front: float
    workers: float
    postgres: float


def cpu(front: psutil.Process) -> Cpu:
    """Ask the operating system. The embedded server is found by its data directory's processes."""

    def spent(process: psutil.Process) -> float:
        times = process.cpu_times()
        return times.user + times.system

    workers = [child for child in front.children() if "collector_processor.app.worker" in " ".join(child.cmdline())]
    postgres = 0.0
    for process in psutil.process_iter(["name", "ppid"]):
        if process.info["name"] == "postgres":
            with process.oneshot():
                times = process.cpu_times()
                postgres += times.user + times.system
                if process.ppid() == 1 or "-D" in process.cmdline():
                    postgres += times.children_user + times.children_system
    return Cpu(spent(front), sum(map(spent, workers)), postgres)


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


def serve(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """A processor of its own; it is gone when the iterator is."""
    environment = os.environ | {
        "COLLECTOR_PROCESSOR_DATA_DIR": str(folder),
        "COLLECTOR_PROCESSOR_OTLP_GRPC": "",
        "COLLECTOR_PROCESSOR_OTLP_HTTP": "127.0.0.1:0",
        "COLLECTOR_PROCESSOR_ADMIN": "",
        "COLLECTOR_PROCESSOR_GRACE": "2s",
        "COLLECTOR_PROCESSOR_FLUSH_RECORDS": "1000",
        "COLLECTOR_PROCESSOR_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "collector_processor.cli", "serve"], stdout=subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield psutil.Process(process.pid), int(ready["otlp_http"].rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(60)


def measure(title: str, tasks: int, foreign: int) -> None:
    """One load, one table."""
    bodies = list(requests(tasks, foreign))
    spans = tasks * (8 + foreign)
    size = sum(map(len, bodies))
    began = time.process_time()
    for body in bodies:
        ExportTraceServiceRequest.FromString(body)
    parse = spans / (time.process_time() - began)
    with tempfile.TemporaryDirectory(prefix="otel-benchmark-bench-") as folder:
        Path(folder).chmod(0o755)
        for front, port in serve(Path(folder)):
            send(port, list(requests(200, foreign)))
            ask(Path(folder), "flush", timeout=60)
            before, wall = cpu(front), time.perf_counter()
            send(port, bodies)
            acknowledged = time.perf_counter() - wall
            received = cpu(front)
            ask(Path(folder), "flush", timeout=600)
            status = ask(Path(folder), "status")
            stored = time.perf_counter() - wall
            after = cpu(front)
    points = next(each["terms"] for each in status["equations"] if each["name"] == "records")
    assert points["accepted"] + points["quarantined"] == tasks + 200, points
    took = Cpu(*(after[place] - before[place] for place in range(3)))
    ours = took.front + took.workers
    print(f"{title}: {spans} spans in {len(bodies)} requests, {size / spans:.0f} bytes a span")
    print(f"  bare parse of the same bytes   {parse:10,.0f} spans a CPU-second")
    acknowledging = spans / (received.front - before.front)
    print(f"  acknowledged durable (front)   {acknowledging:10,.0f}   {acknowledging / parse:.2f} x the parse")
    print(f"  acknowledged and stored (all)  {spans / ours:10,.0f}   {spans / ours / parse:.2f} x the parse")
    for name, seconds in zip(Cpu._fields, took, strict=True):
        print(f"    {name:<10}{seconds / spans * 1e6:8.2f} µs a span{seconds / tasks * 1e6:9.0f} µs a task")
    print(f"  wall: acknowledged {spans / acknowledged:,.0f} spans a second, stored {spans / stored:,.0f}")


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 6000
    measure("8 lifecycle + 24 foreign spans a task", tasks, 24)
    measure("8 lifecycle spans a task", tasks, 0)


if __name__ == "__main__":
    main()
