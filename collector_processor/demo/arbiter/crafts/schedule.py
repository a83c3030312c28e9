"""Planning: putting jobs with prerequisites in an order that lets two workers finish early."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from random import Random

from collector_processor.demo.arbiter.crafts import tables
from collector_processor.demo.arbiter.model import Files
from collector_processor.demo.arbiter.policy import Delegate, Manner, Note, Policy, Report, Use

JOBS = "jobs.json"
PLAN = "plan.json"
WORKERS = 2
SIZES = {"trivial": 5, "standard": 8, "complex": 12}
REFERENCE_ORDERS = 40

Prerequisites = Mapping[str, Sequence[str]]
Durations = Mapping[str, float]


def makespan(order: Sequence[str], prerequisites: Prerequisites, durations: Durations) -> float:
    """Time at which the last job ends, when each worker takes the next job of the order that may start.

    Raises:
        ValueError: the order leaves jobs out, repeats them, or puts one before its prerequisite.
    """
    if sorted(order) != sorted(prerequisites):
        raise ValueError("the plan must hold every job once")
    ends: dict[str, float] = {}
    free = [0.0] * WORKERS
    for job in order:
        try:
            ready = max((ends[needed] for needed in prerequisites[job]), default=0.0)
        except KeyError as missing:
            raise ValueError(f"{job} stands before its prerequisite {missing.args[0]}") from None
        worker = min(range(WORKERS), key=free.__getitem__)
        ends[job] = free[worker] = max(free[worker], ready) + durations[job]
    return max(ends.values())


def longest_path_first(prerequisites: Prerequisites, durations: Durations) -> list[str]:
    """Order by the length of the chain that hangs on a job: the usual rule for schedules on several workers."""
    behind: dict[str, float] = {}
    order = list(TopologicalSorter(prerequisites).static_order())
    for job in reversed(order):
        followers = [behind[other] for other, needed in prerequisites.items() if job in needed]
        behind[job] = durations[job] + max(followers, default=0.0)
    return sorted(order, key=lambda job: -behind[job])


def random_order(prerequisites: Prerequisites, random: Random) -> list[str]:
    """Return any order that respects the prerequisites."""
    sorter = TopologicalSorter(prerequisites)
    sorter.prepare()
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready.extend(sorter.get_ready())
        job = ready.pop(random.randrange(len(ready)))
        order.append(job)
        sorter.done(job)
    return order


@dataclass(frozen=True, slots=True)
class Schedule:
    """Order the jobs. Where durations are not given they have to be found from the table of past runs."""

    prerequisites: Prerequisites
    durations: Durations
    past_runs: str | None = None

    def files(self) -> Files:
        """Jobs, and the past runs where the durations lie in them."""
        jobs: dict[str, object] = {"prerequisites": self.prerequisites}
        if self.past_runs is None:
            return {JOBS: json.dumps({**jobs, "durations": self.durations})}
        return {JOBS: json.dumps(jobs), tables.TABLE: self.past_runs}

    def check(self, files: Files) -> float:
        """1 for the best plan known, less the share by which this one takes longer; 0 for one that can't be done."""
        random = Random(json.dumps(self.durations))
        orders = [random_order(self.prerequisites, random) for _ in range(REFERENCE_ORDERS)]
        orders.append(longest_path_first(self.prerequisites, self.durations))
        best = min(makespan(order, self.prerequisites, self.durations) for order in orders)
        try:
            order = json.loads(files.get(PLAN, "[]"))
            mine = makespan(order, self.prerequisites, self.durations)
        except (ValueError, TypeError):
            return 0.0
        return max(0.0, 2 - max(mine, best) / best)


def draw_schedule(complexity: str, random: Random) -> Schedule:
    """Draw jobs; beyond a trivial task their durations are the medians of five past runs each."""
    names = [f"job-{letter}" for letter in "abcdefghijkl"[: SIZES[complexity]]]
    random.shuffle(names)
    prerequisites = {
        name: sorted(random.sample(names[:place], min(place, random.choice((0, 1, 1, 2)))))
        for place, name in enumerate(names)
    }
    listed = {name: prerequisites[name] for name in sorted(names)}
    runs = {name: sorted(round(random.lognormvariate(2, 0.7), 1) for _ in range(5)) for name in listed}
    durations = {name: times[2] for name, times in runs.items()}
    past_runs = None
    if complexity != "trivial":
        lines = [f"{name},{time}" for name, times in runs.items() for time in times]
        past_runs = "\n".join(["job,minutes", *lines]) + "\n"
    return Schedule(listed, durations, past_runs)


def plan(manner: Manner) -> Policy:
    """Find the durations, by another agent where one delegates, then order the jobs and check the plan."""
    jobs = yield Use("read_file", {"path": JOBS})
    content = json.loads(str(jobs.data["text"]))
    prerequisites, durations = content["prerequisites"], content.get("durations")
    if durations is None and manner.delegates:
        past_runs = yield Use("read_file", {"path": tables.TABLE})
        answered = yield Delegate(
            "data-analysis",
            "standard",
            "Find the median duration of each job from its past runs",
            tables.Summary(str(past_runs.data["text"]), "job", "minutes", "median"),
        )
        durations = answered.data or None
    if durations is None or set(durations) != set(prerequisites):
        yield Note("I don't know how long the jobs take, so I count each as one.")
        durations = dict.fromkeys(prerequisites, 1.0)
    orders = {
        "longest path": longest_path_first(prerequisites, durations),
        "any order": list(TopologicalSorter(prerequisites).static_order()),
        "as listed": list(prerequisites),
    }
    order = orders[manner.scheduling]
    checked = yield Use("check_plan", {"order": order})
    if not checked.success and manner.scheduling == "as listed":
        return Report(success=False, failure_reason=checked.text, reflection="The listed order can't be done.")
    yield Use("write_file", {"path": PLAN, "text": json.dumps(order)})
    return Report(success=checked.success, reflection=f"All {len(order)} jobs are planned.")
