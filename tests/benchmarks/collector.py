"""The processor beside a real OpenTelemetry Collector: spans a CPU-second and peak memory, same bytes, same run.

The Collector keeps every tenth trace by tail sampling and writes it to a file: in memory, without conversion, without a
database. The processor makes every request durable, converts every task and stores it in PostgreSQL. Both get the same
requests of 500 spans over four connections, hold all spans until the last has come, and then decide. CPU is what all
processes of each are charged from the first request to the end, PostgreSQL told apart; memory is the highest RssAnon
of all of them together, read each twentieth of a second. Linux.

Rounds alternate, and a ratio is of one round: so the machine may be slow, or shared.

Usage: python -m benchmarks.collector [SPANS [ROUNDS]]
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import psutil
from benchmarks.load import requests
from benchmarks.path import analysed
from benchmarks.processor import Cpu, send, serve, spent
from servers.cache import UnavailableError, user_cache
from servers.collector import PROGRAM, CollectorRecipe
from support.collector import Collector

from collector_processor.app.control import ask

CONFIGURATION: Final = Path(__file__).with_name("tail_sampling.yaml")
HOLD_SECONDS: Final = 45
"""For so long both hold what they have: longer than it takes to send it."""
WARMING: Final = 200
"""Tasks that are sent before it is measured: a program's start is no part of what a span costs."""
MIXES: Final = {"8 lifecycle + 24 foreign spans a task": (24, 1.0), "8 lifecycle spans a task": (0, 0.5)}
"""Foreign spans a task, and how many times the Collector's spans a CPU-second are the goal."""
MEMORY: Final = 0.25
"""Of the Collector's: the goal."""
DECIDED: Final = "otelcol_processor_tail_sampling_global_count_traces_sampled_total"
"""What it counts traces by that it has decided on, as the metrics' parser names it."""


class Measured(NamedTuple):
    """CPU seconds of one run, the database's apart, and bytes: the highest while spans were open, and of all time."""

    ours: float
    database: float
    open_bytes: int
    peak_bytes: int
    cpu: Cpu | None = None


class Memory:
    """The highest sum of RssAnon of some processes so far."""

    def __init__(self) -> None:
        self.peak = 0

    @contextmanager
    def watching(self, processes: Callable[[], Sequence[psutil.Process]]) -> Iterator[None]:
        """Look twenty times a second."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.05):
                self.peak = max(self.peak, sum(map(anonymous, processes())))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def anonymous(process: psutil.Process) -> int:
    """Anonymous resident bytes: mapped files are the page cache's, which gives them back."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except FileNotFoundError:  # it has ended between two looks
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


class Load(NamedTuple):
    """Requests that hold so many tasks, and some that are sent before it is measured."""

    bodies: Sequence[bytes]
    tasks: int
    warming: Sequence[bytes]


def of_collector(binary: Path, load: Load) -> Measured:
    """Send, and wait until it has decided on every trace."""
    with tempfile.TemporaryDirectory(prefix="otel-benchmark-bench-") as folder:
        collector = Collector(
            binary,
            str(CONFIGURATION),
            Path(folder),
            DECISION_WAIT=f"{HOLD_SECONDS}s",
            OUTPUT=str(Path(folder) / "kept"),
        )
        try:
            process = psutil.Process(collector.start().pid)
            port = int(collector.addresses["OTLP_HTTP"].rpartition(":")[2])
            send(port, load.warming)
            memory, before = Memory(), spent(process)
            with memory.watching(lambda: [process]):
                began = time.monotonic()
                send(port, load.bodies)
                _refuse_slow(began)
                held = memory.peak
                while sum(sample.value for sample in collector.samples(DECIDED)) < load.tasks + WARMING:
                    time.sleep(0.5)
                time.sleep(1)  # the file exporter writes behind
            return Measured(spent(process) - before, 0.0, held, memory.peak)
        finally:
            collector.abandon()


def of_processor(load: Load, privacy: str) -> Measured:
    """Send, flush, and wait until every task is stored."""
    with tempfile.TemporaryDirectory(prefix="otel-benchmark-bench-") as folder:
        Path(folder).chmod(0o755)
        with serve(Path(folder), GRACE=f"{HOLD_SECONDS}s", PRIVACY=privacy) as processor:
            send(processor.otlp, load.warming)
            ask(Path(folder), "flush", timeout=60)
            analysed(Path(folder))  # an analyst's start is no span's cost
            memory, before = Memory(), processor.cpu()
            with memory.watching(processor.processes):
                began = time.monotonic()
                send(processor.otlp, load.bodies)
                _refuse_slow(began)
                held = memory.peak
                ask(Path(folder), "flush", timeout=900)
            took = processor.cpu().since(before)
            status = ask(Path(folder), "status")
    points = next(each["terms"] for each in status["equations"] if each["name"] == "records")
    assert points["accepted"] + points["quarantined"] == load.tasks + WARMING, points
    return Measured(took.ours, took.postgres, held, memory.peak, took)


def _refuse_slow(began: float) -> None:
    if (took := time.monotonic() - began) > HOLD_SECONDS:
        raise SystemExit(f"sending took {took:.0f} s, and spans are held for {HOLD_SECONDS} s: measure fewer spans")


def measure(binary: Path, title: str, spans: int, rounds: int) -> bool:
    """Print one mix's table; whether it is within the goals."""
    foreign, goal = MIXES[title]
    tasks = spans // (8 + foreign)
    bodies = list(requests(tasks, foreign))
    load = Load(bodies, tasks, list(requests(WARMING, foreign)))
    spans = tasks * (8 + foreign)
    print(f"{title}: {spans} spans in {len(bodies)} requests, {sum(map(len, bodies)) / spans:.0f} bytes a span")
    peers: list[Measured] = []
    ours: dict[str, list[Measured]] = {"on": [], "off": []}
    for _ in range(rounds):
        peers.append(of_collector(binary, load))
        for privacy, measured in ours.items():
            measured.append(of_processor(load, privacy))
    within = True
    _tell("Collector", peers, spans)
    for privacy, measured in ours.items():
        _tell(f"processor, privacy {privacy}", measured, spans)
        speeds = [peer.ours / own.ours for own, peer in zip(measured, peers, strict=True)]
        with_database = [peer.ours / (own.ours + own.database) for own, peer in zip(measured, peers, strict=True)]
        print(
            f"    speed   {_ratios(speeds)} x the Collector's (goal: {goal}); PostgreSQL's too {_ratios(with_database)}"
        )
        memory = [own.peak_bytes / peer.peak_bytes for own, peer in zip(measured, peers, strict=True)]
        held = [own.open_bytes / peer.open_bytes for own, peer in zip(measured, peers, strict=True)]
        print(
            f"    memory     {_ratios(memory)} of its peak (goal: {MEMORY}), while all spans are open {_ratios(held)}"
        )
        fed = [each.cpu.workers / each.cpu.front for each in measured if each.cpu]
        print(f"    a front feeds {_ratios(fed)} workers")
        within &= median(speeds) >= goal and median(memory) <= MEMORY
    return within


def _tell(who: str, measured: Sequence[Measured], spans: int) -> None:
    rate = spans / median(each.ours for each in measured)
    peak = median(each.peak_bytes for each in measured) / 1e6
    told = [each.cpu for each in measured if each.cpu]
    parts = zip(*told, strict=True)
    shares = [f"; {name} {median(each) / spans * 1e6:.2f} µs" for name, each in zip(Cpu._fields, parts, strict=False)]
    print(f"  {who:<22}{rate:10,.0f} spans a CPU-second, {peak:6.0f} MB at most{''.join(shares)}")


def _ratios(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"


def main() -> int:
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    try:
        binary = user_cache().find(CollectorRecipe()) / PROGRAM
    except UnavailableError as error:
        raise SystemExit(str(error)) from error
    within = [measure(binary, title, spans, rounds) for title in MIXES]
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
