"""What deep samples cost: deciding, as a share of converting a task and of its whole path, and analysing.

Usage: python -m benchmarks.sampling [ROUNDS]

A task is 8 lifecycle and 24 foreign spans. Deciding is measured in turns with converting, so that a busy machine
disturbs both, and compared with what front and worker take for the same task in a real `serve`; with the policies
that come along it may be 2 % of that. The whole path is measured with and without policies, in turns as well, and
then what comes after it: the front hands tasks to analysts and stores samples, and analysts work in processes of
their own. Some of that falls into the time of the path.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from time import process_time_ns
from typing import Any, NamedTuple

import msgspec
from benchmarks import path
from benchmarks.convert import FOREIGN, among_others
from benchmarks.load import requests
from support.lifecycle import raw_task, usual_task
from support.sampled import config, copies

from collector_processor.convert import FoldSettings, convert, fold
from collector_processor.guard import GateSettings, Protector, judge
from collector_processor.guard.privacy import Keyring
from collector_processor.model.record import BenchmarkDataPoint, encode_point, point_id
from collector_processor.model.sampling import SamplingMemory, Tally
from collector_processor.sample import Sampler, SamplingConfig, advance, default_document, total, with_decision

BATCH = 100
"""Records that are written at once, so that their tallies are summed and the state advanced."""
TURNS = 15
TASKS = 3000
PATH_TURNS = 2
NO_POLICIES = Path(__file__).parents[1] / "support" / "no_sampling.toml"
MAX_SHARE = 0.02

EVERYTHING = """
[[conversation]]
name = "explored"
when.routing.explored = true
when.not.task.type = "design"
bytes_per_hour = 20_000_000
[[ast]]
name = "outliers and new agents"
when.any = [{ gate = ["latency-outlier", "token-outlier"] }, { first.agent = 20 }, { first.tool = 10 }]
always = true
[[ast]]
name = "rare strata"
each_stratum_per_hour = 2
[[judge]]
name = "near the bound"
when.evaluation.overallScore = { near = 0.7, within = 0.05 }
probability = 0.5
[[judge]]
name = "evaluators disagree"
when.disagreement.above = 0.3
calls_per_hour = 60
[[judge]]
name = "failures"
when.rlLabels.finalOutcome = ["failure", "partial"]
always = true
[[reflection]]
name = "rate"
per_hour = 100
"""


def least(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """µs of CPU a call: of TURNS measurements in turns the least, as the others were disturbed."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(TURNS):
        for name, work in works.items():
            start = process_time_ns()
            for _ in range(rounds):
                work()
            best[name] = min(best[name], (process_time_ns() - start) / rounds / 1000)
    return best


def deciding(configuration: SamplingConfig, record: BenchmarkDataPoint) -> Callable[[], Any]:
    """Decide about the next of many tasks, write it down, and after each batch advance the state."""
    sampler, points = Sampler(configuration), cycle(list(copies(record, range(5000))))
    memory, tallies = SamplingMemory(), list[Tally]()

    def work() -> BenchmarkDataPoint:
        nonlocal memory, tallies
        point = next(points)
        decision = sampler.decide(point, memory.state)
        tallies.append(sampler.tally(point, decision, memory.state))
        if len(tallies) == BATCH:
            sealed = msgspec.msgpack.encode(total(tallies))
            memory = advance(memory, [msgspec.msgpack.decode(sealed, type=Tally)], configuration, 10**18)
            msgspec.msgpack.encode(memory)
            tallies = []
        return with_decision(point, decision)

    return work


class Whole(NamedTuple):
    """CPU µs a task: front and worker until it is stored; the front after that; the analysts."""

    path: float
    front_afterwards: float
    analysts: float


def whole_path(**settings: str) -> Whole:
    """Let tasks take the whole path through a processor of their own."""
    bodies, warming = list(requests(TASKS, FOREIGN, usual_task)), list(requests(200, FOREIGN, usual_task))
    measured = path.run(bodies, warming, TASKS + 200, **settings)
    took, in_all = measured.took, measured.in_all
    cost = (took.front + took.workers, in_all.front - took.front, in_all.others)
    return Whole(*(seconds / TASKS * 1e6 for seconds in cost))


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    raw = raw_task(among_others(usual_task()))
    protector, fold_settings, gate_settings = (
        Protector(None, Keyring({"k1": b"k" * 32}, "k1")),
        FoldSettings(),
        GateSettings(),
    )
    identity = point_id(raw.sealed.trace_id, raw.sealed.span_id)

    def converted() -> BenchmarkDataPoint:
        facts = protector.protect(convert(raw)).facts
        assert facts is not None
        point = judge(fold(identity, facts, 1, fold_settings), gate_settings).point
        encode_point(point)
        return point

    works = {
        "convert, guard, encode": converted,
        "decide by the policies that come along": deciding(config(default_document()), converted()),
        "decide by seven policies of every kind": deciding(config(EVERYTHING), converted()),
    }
    spans = 8 + FOREIGN
    best = least(works, rounds)
    whole = best["convert, guard, encode"]
    for name, cost in best.items():
        share = f"{cost / whole:8.2%}" if cost != whole else ""
        print(f"  {name:<42}{cost:8.1f} µs a task{cost / spans:8.2f} µs a span{share}")
    deciding_costs = best["decide by the policies that come along"]
    turns = [(whole_path(SAMPLING=str(NO_POLICIES)), whole_path()) for _ in range(PATH_TURNS)]
    without, with_ = min(off.path for off, _ in turns), min(on.path for _, on in turns)
    front, analysts = (min(each) for each in zip(*((on.front_afterwards, on.analysts) for _, on in turns), strict=True))
    print(f"  the whole path without policies {without:12.0f} µs a task{without / spans:8.2f} µs a span")
    print(f"  … with those that come along    {with_:12.0f} µs a task{with_ / spans:8.2f} µs a span")
    print(f"  … afterwards: handing to analysts and storing {front:.0f} µs, analysing {analysts:.0f} µs a task")
    print(f"  deciding is {deciding_costs / with_:.2%} of the whole path (at most {MAX_SHARE:.0%})")
    return int(deciding_costs > MAX_SHARE * with_)


if __name__ == "__main__":
    sys.exit(main())
