"""What the plugin costs a task of 8 spans, as ratios to the same spans written by hand.

Usage: python -m benchmarks.plugin

Both ways export through a BatchSpanProcessor to an exporter that does nothing. First they are shown to emit the same
spans. Then rounds alternate, so that both see the same machine, and the ratio is the median over the rounds. The
p99 is wall time a task, the plugin's minus the one by hand in the same rounds.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

from benchmarks.arbiters import Task, by_hand, plain
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_benchmark.attributes import Kind
from otel_benchmark.environment import Settings, Target
from otel_benchmark.patches import Patches
from otel_benchmark.runtime import RUNTIME

ROUNDS, TASKS, CONCURRENCY = 31, 96, 64
MAX_CPU_RATIO, MAX_P99_MS = 1.15, 1.0
NAMES = {
    Kind.TASK: "handle",
    Kind.ROUTE: "route",
    Kind.EXECUTION: "execute",
    Kind.TOOL_CALL: "read",
    Kind.EVALUATION: "evaluate",
}


class Discard(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


def instrumented(provider: TracerProvider) -> ModuleType:
    RUNTIME.configure(Settings(), provider)
    arbiter, patches = plain(), Patches()
    for kind, name in NAMES.items():
        for target in (name, name + "_async"):
            patches.apply(Target(kind, "arbiter", target), arbiter)
    return arbiter


def same_spans() -> int:
    """Both ways emit the same names, attributes and events; return how many attributes a task has."""

    def emitted(make: Callable[[TracerProvider], ModuleType], run: Callable[[ModuleType], object]) -> list[object]:
        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        run(make(provider))
        spans = exporter.get_finished_spans()
        varying = {"arbiter.emitter.id", "arbiter.emitter.sequence", "arbiter.collection.overhead_ms"}
        return [describe(span, varying) for span in spans]

    for run in (lambda m: m.handle(Task("t")), lambda m: asyncio.run(m.handle_async(Task("t")))):
        hand, plugin = emitted(lambda p: by_hand(p.get_tracer("hand")), run), emitted(instrumented, run)
        if hand != plugin:
            different = [(one, other) for one, other in zip(hand, plugin, strict=True) if one != other]
            raise SystemExit(f"the two ways emit different spans:\n{different}")
    return sum(len(attributes) for _, attributes, _ in plugin) + 3


def describe(span: ReadableSpan, varying: set[str]) -> tuple[str, dict[str, object], list[object]]:
    name = span.name.removesuffix("_async")  # the fallback names of the async functions
    attributes = {
        key: value.removesuffix("_async") if isinstance(value, str) else value
        for key, value in (span.attributes or {}).items()
        if key not in varying
    }
    return name, attributes, [(event.name, dict(event.attributes or {})) for event in span.events]


Run = Callable[[ModuleType], list[float]]


def sync(arbiter: ModuleType) -> list[float]:
    times = []
    for number in range(TASKS):
        start = time.perf_counter()
        arbiter.handle(Task(f"t-{number}"))
        times.append(time.perf_counter() - start)
    return times


async def _timed(arbiter: ModuleType, number: int) -> float:
    start = time.perf_counter()
    await arbiter.handle_async(Task(f"t-{number}"))
    return time.perf_counter() - start


def one_by_one(arbiter: ModuleType) -> list[float]:
    async def main() -> list[float]:
        return [await _timed(arbiter, number) for number in range(TASKS)]

    return asyncio.run(main())


def together(arbiter: ModuleType) -> list[float]:
    async def worker(numbers: range) -> list[float]:
        return [await _timed(arbiter, number) for number in numbers]

    async def main() -> list[float]:
        share = range(max(1, TASKS // CONCURRENCY * 2))
        return [t for times in await asyncio.gather(*(worker(share) for _ in range(CONCURRENCY))) for t in times]

    return asyncio.run(main())


def in_threads(arbiter: ModuleType) -> list[float]:
    def timed(number: int) -> float:
        start = time.perf_counter()
        arbiter.handle(Task(f"t-{number}"))
        return time.perf_counter() - start

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return list(pool.map(timed, range(TASKS)))


def measure(run: Run) -> tuple[float, float, float, float]:
    """Return by hand and plugin in µs of CPU a task, the median ratio, and the p99 that the plugin adds in ms."""
    arbiters: dict[str, ModuleType] = {}
    providers = []
    for name, make in (("hand", lambda p: by_hand(p.get_tracer("hand"))), ("plugin", instrumented)):
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(Discard()))
        arbiters[name] = make(provider)
        providers.append(provider)
    cpu: dict[str, list[float]] = {"hand": [], "plugin": []}
    wall: dict[str, list[float]] = {"hand": [], "plugin": []}
    for number in range(ROUNDS + 1):
        for name in sorted(arbiters, reverse=bool(number % 2)):
            gc.collect()
            start = time.process_time()
            times = run(arbiters[name])
            spent = time.process_time() - start
            if number:  # the first round warms up
                cpu[name].append(spent / len(times) * 1e6)
                wall[name] += times
    for provider in providers:
        provider.shutdown()
    ratio = statistics.median(p / h for p, h in zip(cpu["plugin"], cpu["hand"], strict=True))
    p99 = {name: statistics.quantiles(times, n=100)[98] * 1000 for name, times in wall.items()}
    return statistics.median(cpu["hand"]), statistics.median(cpu["plugin"]), ratio, p99["plugin"] - p99["hand"]


def main() -> int:
    print(f"plugin: a task is 8 spans, {same_spans()} attributes, 3 events; by hand = start_as_current_span")
    ThreadingInstrumentor().instrument()
    missed = False
    runs: list[tuple[str, Run]] = [
        ("sync", sync),
        ("async", one_by_one),
        (f"async, {CONCURRENCY} at once", together),
        (f"sync, {CONCURRENCY} threads", in_threads),
    ]
    for name, run in runs:
        hand, plugin, ratio, p99 = measure(run)
        good = ratio <= MAX_CPU_RATIO and p99 <= MAX_P99_MS
        missed |= not good
        print(
            f"plugin, {name:20} by hand {hand:6.0f} µs CPU a task, plugin {plugin:6.0f}: {ratio:.3f} x (goal "
            f"{MAX_CPU_RATIO}), p99 {p99:+.3f} ms (goal {MAX_P99_MS}){'' if good else '  MISSED'}"
        )
    ThreadingInstrumentor().uninstrument()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
