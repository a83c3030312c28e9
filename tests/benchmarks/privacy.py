"""What privacy costs and finds: µs of CPU a task and a span, MB/s of a core for both engines, recall, precision.

A run misses its bound when privacy costs more than a quarter of what a span costs without it (`BENCH=path`).

Usage: python -m benchmarks.privacy [TASKS]
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import msgspec
from support.lifecycle import raw_task, usual_task, whole_task
from support.privacy_corpus import PROSE, negatives, positives
from support.privacy_measure import measured

from collector_processor.convert import convert
from collector_processor.guard.privacy import Detector, Keyring, Redactor, Text
from collector_processor.guard.privacy.engines import ENGINES, engine_named
from collector_processor.guard.privacy.matching import EXPRESSIONS

SHARED = Path(os.environ.get("OTEL_BENCHMARK_SHARED") or Path(__file__).parents[3] / "shared")
RUNS_FILE = SHARED / "data" / "tau-bench" / "gpt-4o-airline.json"
SPANS = {"8 lifecycle + 24 foreign spans": (32, 12.4), "8 lifecycle spans": (8, 36.0)}
"""Spans a task, and the µs of CPU that one costs end to end without privacy: the README's figures of BENCH=path."""
ALLOWED = 0.25
STRUCTURE = frozenset(
    ["factId", "traceId", "spanId", "parentSpanId", "executionSpanId", "start", "end", "receivedAt", "time"]
)
"""Fields that hold ids and times made by the conversion: no text of the application."""


def told(value: Any, key: str = "") -> Iterator[Text]:
    """The texts of a task's facts."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from told(inner, name)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from told(inner, key)
    elif isinstance(value, str) and key not in STRUCTURE:
        yield Text(key, value)


def tasks(spans: bytes, count: int) -> list[list[Text]]:
    """Tasks with the same names of agents and tools, and with ids and free texts of their own."""
    texts = list(told(msgspec.to_builtins(convert(raw_task(spans)).facts)))
    rnd = random.Random(5)

    def varied() -> Iterator[Text]:
        ids: dict[str, str] = {}
        for key, value in texts:
            if key in ("taskId", "conversationId", "parentTaskId", "callId", "emitterId", "commitHash", "tenant"):
                yield Text(key, ids.setdefault(value, f"{rnd.getrandbits(128):032x}"))
            elif " " in value:
                yield Text(key, f"{value} ({rnd.randrange(10**6)} of {rnd.random():.3f})")
            else:
                yield Text(key, value)

    return [list(varied()) for _ in range(count)]


def seconds(work: Callable[[], Any]) -> float:
    """The least CPU time of three runs."""
    best = float("inf")
    for _ in range(3):
        began = process_time()
        work()
        best = min(best, process_time() - began)
    return best


def rate(work: Callable[[Sequence[Text]], Any], texts: Sequence[Sequence[Text]]) -> float:
    """MB/s of UTF-8."""
    size = sum(len(text.value.encode()) for batch in texts for text in batch)
    return size / seconds(lambda: [work(batch) for batch in texts]) / 1e6


def recorded() -> list[list[Text]]:
    """Messages of recorded agent runs, a list for each run."""
    if not RUNS_FILE.is_file():
        return []
    runs = json.loads(RUNS_FILE.read_text(encoding="utf-8"))
    return [[Text("content", message["content"]) for message in run["traj"] if message.get("content")] for run in runs]


def measure(name: str, count: int) -> bool:
    """Print what one engine does; False when it costs more than is allowed."""
    print(f"engine {name}")
    detector = Detector(engine=name)
    redactor = Redactor(Keyring({"k1": bytes(range(32))}, "k1"), detector)

    def redact(texts: Sequence[Text]) -> int:
        return len(redactor.texts(texts, "acme").findings)

    within = True
    for label, spans in (("usual attributes", usual_task()), ("every attribute", whole_task())):
        work = tasks(spans, count)
        warm, rest = work[: count // 4], work[count // 4 :]
        for texts in warm:
            redact(texts)
        began = process_time()
        findings = sum(map(redact, rest))
        cost = (process_time() - began) / len(rest) * 1e6
        size = sum(len(text.value) for texts in rest for text in texts) // len(rest)
        print(f"  {label}: {len(rest[0])} texts, {size} characters a task: {cost:.1f} µs, {findings} findings")
        for mix, (number, bare) in SPANS.items():
            share = cost / number / bare
            within &= share <= ALLOWED
            print(f"    {mix}: {cost / number:.2f} µs a span, {share:.0%} of {bare} µs")
    prose = [[Text("", "\n".join(form.format(seed) for form in PROSE) * 200)] for seed in range(3)]
    long = [[Text("", "\n".join(sample.text for sample in negatives(seed, 3000)))] for seed in range(3)]
    full = [[Text("", sample.text)] for sample in positives(1, 2000)]
    rates = {
        "clean prose in eight languages, redacted": rate(redact, prose),
        "hard negatives in texts of 300 kB, redacted": rate(redact, long),
        "one secret or more in each text, redacted": rate(redact, full),
    }
    if runs := recorded():
        rates["recorded agent runs, scanned"] = rate(detector.scan, runs)
        rates["recorded agent runs, redacted"] = rate(redact, runs)
        rates["the same, the engine's search alone"] = rate(searching(name), runs)
    for label, figure in rates.items():
        print(f"  {label:<44}{figure:8.1f} MB/s")
    return within


def searching(name: str) -> Callable[[Sequence[Text]], Any]:
    """All patterns in one search, as it is done for each task."""
    engine = engine_named(name, EXPRESSIONS)
    return lambda texts: engine.present("\0".join([text.value for text in texts]).encode())


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    within = [measure(name, count) for name in ENGINES]
    figures = measured([*positives(1, 8000), *negatives(2, 4000)], Detector())
    print(figures.table())
    print(f"precision {figures.precision:.4f} over {figures.findings} findings")
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
