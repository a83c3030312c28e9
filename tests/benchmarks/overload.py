"""Overload: twice what a processor can take and store, with a quiet service beside the noisy one.

A real `serve` with its embedded PostgreSQL and a journal of 32 MiB takes tasks of 8 lifecycle and 24 foreign spans over
OTLP/HTTP. The noisy service sends requests of 500 spans at a steady rate, whether they are taken or not, the quiet one
a task of 5 spans twenty times a second; both on the same machine. How much can be taken and stored is measured before,
with another processor. Then follow half of that, twice that, and half of it again. Times are from sending a request to
its answer. At the end every span that was accepted must be accounted for.

Usage: PYTHONPATH=tests python -m benchmarks.overload [SECONDS], of each phase
"""

from __future__ import annotations

import http.client
import itertools
import math
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.load import SPANS_A_REQUEST, requests
from benchmarks.processor import Running, serve
from soak.load import FOREIGN, Load
from soak.sampling import Sample, sample
from support.lifecycle import RESOURCE, evaluation, execution, payload, route, task, tool_call
from support.processor import own

from collector_processor.app.control import ask
from otel_benchmark import attributes as a

JOURNAL: Final = "32MiB"
CONNECTIONS: Final = 16
"""Of each service."""
QUIET: Final = (task(), route(), execution(), tool_call(), evaluation())
QUIET_PAUSE: Final = 0.05
LOOK_SECONDS: Final = 0.5
GOAL_QUIET_MS: Final = 1000.0
"""Of the quiet service's p99 amid the overload; an exporter waits ten times as long."""
GOAL_CALM_SECONDS: Final = 10.0
"""Of the last refusal after the overload, with half of the maximum coming in."""


class Answered(NamedTuple):
    """A request: when it was sent (of `time.monotonic`), how long its answer took, and whether it was taken."""

    at: float
    seconds: float
    taken: bool


class Phase(NamedTuple):
    """What was sent for a while, and what the processor was like meanwhile."""

    name: str
    began: float
    noisy: Sequence[Answered]
    quiet: Sequence[Answered]
    samples: Sequence[Sample]

    @property
    def refused_until(self) -> float:
        """Seconds from its beginning to its last refusal; 0 where there was none."""
        return max((each.at - self.began for each in refused([*self.noisy, *self.quiet])), default=0.0)


# -- Services, each in a process of its own --------------------------------------------------------


def noisy(port: int, rate: float, until: float) -> list[Answered]:
    """Send so many spans a second until a time (of `time.monotonic`)."""
    return send(port, requests(1 << 40, FOREIGN), SPANS_A_REQUEST / rate, until)


def quiet(port: int, until: float) -> list[Answered]:
    """The same of a service that sends little."""
    return send(port, quiet_tasks(), QUIET_PAUSE, until)


def quiet_tasks() -> Iterator[bytes]:
    while True:
        yield payload(own(*QUIET).spans, resource=RESOURCE | {a.SERVICE_NAME: "quiet"})


def send(port: int, bodies: Iterator[bytes], pause: float, until: float) -> list[Answered]:
    """Post a body every `pause` seconds, and as soon as a connection is free where all are waiting."""
    taking = threading.Lock()
    turns = zip(itertools.count(time.monotonic(), pause), bodies, strict=False)

    def work(_: int) -> list[Answered]:
        answers: list[Answered] = []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < until:
            with taking:
                due, body = next(turns)
            time.sleep(max(0.0, due - time.monotonic()))
            at = time.monotonic()
            connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            told = answer.read()
            answers.append(Answered(at, time.monotonic() - at, answer.status == 200))
            if answer.status not in (200, 503) or (answer.status == 503 and not answer.headers["retry-after"]):
                raise RuntimeError(f"{answer.status} {told!r}")
        connection.close()
        return answers

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return [answered for answers in threads.map(work, range(CONNECTIONS)) for answered in answers]


# -- The run ---------------------------------------------------------------------------------------


@contextmanager
def processor(**settings: str) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="otel-benchmark-bench-") as folder:
        Path(folder).chmod(0o755)
        with serve(Path(folder), GRACE="1s", FLUSH_INTERVAL="1s", FLUSH_RECORDS="100", **settings) as running:
            yield running


def maximum(seconds: float) -> float:
    """Spans a second that it takes and stores."""
    with processor() as running:
        began = time.monotonic()
        with Load(running.otlp) as load:
            time.sleep(seconds)
        ask(running.folder, "flush", timeout=600)
        return load.sent / (time.monotonic() - began)


def phase(name: str, running: Running, services: Executor, rate: float, seconds: float) -> Phase:
    """Have both services send for so long."""
    began = time.monotonic()
    noise = services.submit(noisy, running.otlp, rate, began + seconds)
    tasks = services.submit(quiet, running.otlp, began + seconds)
    samples = [sample(running, began, 0.0)]
    while wait((noise, tasks), LOOK_SECONDS).not_done:
        samples.append(sample(running, began, 0.0))
    return Phase(name, began, noise.result(), tasks.result(), samples)


def accounted(running: Running, phases: Sequence[Phase]) -> bool:
    """Whether all that was accepted, and nothing else, was received, and is in exactly one place."""
    ask(running.folder, "flush", timeout=600)
    accepted = sum(SPANS_A_REQUEST for each in phases for one in each.noisy if one.taken)
    accepted += sum(len(QUIET) for each in phases for one in each.quiet if one.taken)
    equations = {each["name"]: each for each in ask(running.folder, "status")["equations"]}
    spans = equations["journal spans"]
    print(f"accepted {accepted:,} spans, received {spans['total']:,}, of these shed {spans['terms']['shed']:,}")
    balanced = all(each["total"] == sum(each["terms"].values()) for each in equations.values())
    return balanced and accepted == spans["total"]


def report(each: Phase) -> None:
    """Print a phase."""
    seconds = max(one.at for one in each.noisy) - each.began
    offered, accepted = (SPANS_A_REQUEST * len(some) / seconds for some in (each.noisy, taken(each.noisy)))
    print(f"{each.name:<20}{offered:9,.0f} spans a second offered, {accepted:,.0f} accepted: {accepted / offered:.2f}")
    for name, answers in (("noisy", each.noisy), ("quiet", each.quiet)):
        for ending, found in (("accepted", taken(answers)), ("refused", refused(answers))):
            if found:
                times = f"p50 {percentile(50, found):7.1f} ms, p99 {percentile(99, found):7.1f} ms"
                print(f"  {name}, {ending:<10}{len(found):6,} requests, {times}")
    most = {part: max(one.memory[part] for one in each.samples) for part in each.samples[0].memory}
    memory = ", ".join(f"{part} {size:.0f}" for part, size in most.items() if size)
    journal = max(one.journal_live for one in each.samples)
    print(f"  at most, MiB: {memory}; live in the journal {journal:.0f}", flush=True)


def percentile(percent: int, answers: Sequence[Answered]) -> float:
    """Of how long answers took, in milliseconds."""
    return 1000 * sorted(each.seconds for each in answers)[math.ceil(len(answers) * percent / 100) - 1]


def taken(answers: Sequence[Answered]) -> list[Answered]:
    return [each for each in answers if each.taken]


def refused(answers: Sequence[Answered]) -> list[Answered]:
    return [each for each in answers if not each.taken]


def missed(overload: Phase, again: Phase, *, complete: bool) -> list[str]:
    """Print what there is a bound for; what missed it."""
    slowest, turned_away = percentile(99, taken(overload.quiet)), len(refused(overload.quiet))
    print(f"quiet service then: {turned_away} refusals (goal: 0), p99 {slowest:.0f} ms (goal: {GOAL_QUIET_MS:.0f})")
    print(f"last refusal {again.refused_until:.1f} s after the overload (goal: {GOAL_CALM_SECONDS:.0f})")
    bounds = {
        "nobody was refused, so there was no overload": refused(overload.noisy) != [],
        "the quiet service was refused": turned_away == 0,
        "the quiet service waited": slowest <= GOAL_QUIET_MS,
        "refusals went on": again.refused_until <= GOAL_CALM_SECONDS,
        "spans are not accounted for": complete,
    }
    return [name for name, holds in bounds.items() if not holds]


def main() -> int:
    """Measure; 1 where a bound is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    most = maximum(seconds)
    print(f"at most {most:,.0f} spans a second, accepted and stored; {seconds:.0f} s a phase", flush=True)
    phases = []
    with ProcessPoolExecutor(2, get_context("spawn")) as services, processor(JOURNAL_MAX_BYTES=JOURNAL) as running:
        for name, times in (("half of the maximum", 0.5), ("twice the maximum", 2.0), ("half of it again", 0.5)):
            phases.append(phase(name, running, services, times * most, seconds))
            report(phases[-1])
        complete = accounted(running, phases)
    problems = missed(phases[1], phases[2], complete=complete)
    print(f"MISSED: {', '.join(problems)}" if problems else "within all bounds")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
