"""What a task costs while its spans really leave: by hand with the SDK's processor, and the plugin with its own queue.

Usage: PYTHONPATH=tests python -m benchmarks.exporting

As `plugin`, but both send over HTTP by the same official exporter to a receiver in another process, which reads and
forgets. Encoding, about 50 µs a span, is most of the CPU; the p99 shows for how long it keeps a task waiting.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks import arbiters
from benchmarks.arbiters import by_hand
from benchmarks.plugin import CONCURRENCY, MAX_CPU_RATIO, MAX_P99_MS, Run, instrumented, sync, together
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_benchmark.environment import Settings
from otel_benchmark.export.otlp import otlp_sender
from otel_benchmark.export.processor import PrioritySpanProcessor
from otel_benchmark.runtime import RUNTIME

ROUNDS = 20


class Forget(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


def receive() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forget)
    print(server.server_port, flush=True)
    server.serve_forever()


def measure(run: Run, url: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return for each way the least CPU of a task in µs, its sending included, and the median p99 in ms."""
    processors: dict[str, Callable[[], SpanProcessor]] = {
        "by hand": lambda: BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")),
        "plugin": lambda: PrioritySpanProcessor(otlp_sender(Settings(endpoint=url)), Settings().queue_bytes),
    }
    providers = {name: TracerProvider() for name in processors}
    made = {}
    for name, provider in providers.items():
        provider.add_span_processor(processors[name]())
        made[name] = by_hand(provider.get_tracer("hand")) if name == "by hand" else instrumented(provider)
    cpu: dict[str, list[float]] = {name: [] for name in providers}
    p99: dict[str, list[float]] = {name: [] for name in providers}
    for number in range(ROUNDS + 1):
        for name in list(providers)[:: 1 if number % 2 else -1]:
            RUNTIME.configure(Settings(), providers[name])
            gc.collect()
            start = time.process_time()
            times = run(made[name])
            providers[name].force_flush()
            spent = time.process_time() - start
            if number:  # the first round warms up
                cpu[name].append(spent / len(times) * 1e6)
                p99[name].append(statistics.quantiles(times, n=100)[98] * 1000)
    for provider in providers.values():
        provider.shutdown()
    return {n: min(each) for n, each in cpu.items()}, {n: statistics.median(each) for n, each in p99.items()}


def main() -> int:
    command = [sys.executable, "-m", "benchmarks.exporting", "receive"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        try:
            assert receiver.stdout is not None
            return compare(f"http://127.0.0.1:{receiver.stdout.readline().strip()}")
        finally:
            receiver.terminate()


def compare(url: str) -> int:
    missed = False
    runs: list[tuple[str, Run, float]] = [("sync", sync, 0.0), (f"async, {CONCURRENCY} at once", together, 0.02)]
    for name, run, arbiters.TOOL_WAITS_S in runs:
        cpu, p99 = measure(run, url)
        ratio, added = cpu["plugin"] / cpu["by hand"], p99["plugin"] - p99["by hand"]
        missed |= ratio > MAX_CPU_RATIO or added > MAX_P99_MS
        print(
            f"exporting, {name:18} CPU {cpu['plugin']:.0f} µs a task with its sending, by hand "
            f"{cpu['by hand']:.0f}: {ratio:.2f} x (goal {MAX_CPU_RATIO}); "
            f"p99 {p99['plugin']:.2f} ms, by hand {p99['by hand']:.2f}: {added:+.2f} ms (goal {MAX_P99_MS})"
        )
    return int(missed)


if __name__ == "__main__":
    if sys.argv[1:] == ["receive"]:
        receive()
    sys.exit(main())
