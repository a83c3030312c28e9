"""Weighted estimates from samples have the truth as their expectation, and intervals cover it as often as they say.

200,000 tasks of known means pass through the real decision, in 100 windows, for each configuration. What is estimated
is correlated with what policies look at: without the weights the estimates are far off, which is tested too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from support.sampled import config, copies, identity, record

from collector_processor.model.record import BenchmarkDataPoint, Outcome
from collector_processor.model.sampling import Decision, Facet, SamplingMemory, Spent, Tally
from collector_processor.sample import Sampler, SamplingConfig, advance, total, with_decision
from collector_processor.sample.policies import HOUR

TASKS, WINDOWS = 2000, 50
START = 1_800_000_000 * 10**9

EACH_TYPE = """
[[judge]]
name = "a fifth"
probability = 0.2

[[ast]]
name = "failures"
when.rlLabels.finalOutcome = "failure"
probability = 0.6
[[ast]]
name = "the others too"
probability = 0.1

[[reflection]]
name = "rate"
per_hour = 400

[[conversation]]
name = "rare"
each_stratum_per_hour = 100
"""
COMBINED = """
[[judge]]
name = "calls"
calls_per_hour = 800
[[judge]]
name = "near the bound"
when.evaluation.overallScore = { near = 0.5, within = 0.05 }
always = true

[[ast]]
name = "bytes"
bytes_per_hour = 3_000_000
initially = 0.2

[[reflection]]
name = "new agents and tools"
when.any = [{ first.agent = 3000 }, { first.tool = 100 }]
always = true
[[reflection]]
name = "the others too"
probability = 0.15

[[conversation]]
name = "rare"
each_stratum_per_hour = 40
[[conversation]]
name = "not what succeeded"
when.not.rlLabels.finalOutcome = "success"
per_hour = 150
[[conversation]]
name = "research, or low"
when.any = [{ task.type = "research" }, { all = [{ evaluation.overallScore.below = 0.4 }, { gate = false }] }]
probability = 0.2

[cost.ast]
bytes = 10_000
"""


class Kind(NamedTuple):
    """A kind of task: its record, how frequent it is, and the mean of what is to be estimated."""

    point: BenchmarkDataPoint
    share: float
    mean: float


KINDS = [
    Kind(record(type="code-editing", agent="alpha", score=0.9), 0.5, 0.8),
    Kind(record(type="code-editing", agent="alpha", outcome=Outcome.FAILURE, score=0.3), 0.2, 0.3),
    Kind(record(type="research", agent="beta", score=0.75), 0.15, 0.7),
    Kind(record(type="research", agent="beta", outcome=Outcome.FAILURE, score=0.2), 0.05, 0.2),
    Kind(record(type="research", agent="gamma", outcome=Outcome.PARTIAL, score=0.5), 0.1, 0.5),
]
TYPES = ("code-editing", "research")


Decided = tuple[BenchmarkDataPoint, Decision]


def passing(
    configuration: SamplingConfig,
    hours: Iterable[Iterable[BenchmarkDataPoint]],
    costs: Callable[[], Spent] = lambda: Spent(1, 1, 1),
) -> Iterator[list[Decided]]:
    """Decide about the tasks of one hour after the other; what was seen takes effect at the end of each."""
    sampler = Sampler(configuration)
    memory = advance(SamplingMemory(), [], configuration, START)
    for hour, points in enumerate(hours, 1):
        decided = [(point, sampler.decide(point, memory.state)) for point in points]
        yield decided
        tallies = [sampler.tally(point, decision, memory.state) for point, decision in decided]
        tallies += [Tally(spent={facet: costs()}) for _, decision in decided for facet in decision.added]
        memory = advance(memory, [total(tallies)], configuration, START + hour * HOUR)


class Window(NamedTuple):
    """What became of a window's tasks: values, types (index into TYPES), and by facet the weights, 0 if not kept."""

    values: np.ndarray
    types: np.ndarray
    weights: dict[Facet, np.ndarray]


def windows(configuration: SamplingConfig, count: int = WINDOWS) -> Iterator[Window]:
    """Let windows of tasks of all kinds pass."""
    rng = np.random.default_rng(6)
    kinds = rng.choice(len(KINDS), (count, TASKS), p=[kind.share for kind in KINDS])
    sizes = cycle([Spent(1, int(size), 1 + number % 3) for number, size in enumerate(rng.lognormal(9, 0.7, 100))])
    hours = (
        [
            msgspec.structs.replace(KINDS[kind].point, id=identity(hour * TASKS + number))
            for number, kind in enumerate(kinds[hour])
        ]
        for hour in range(count)
    )
    types = np.array([TYPES.index(kind.point.task.type or "") for kind in KINDS])
    means = np.array([kind.mean for kind in KINDS])
    for hour, decided in enumerate(passing(configuration, hours, lambda: next(sizes))):
        weights = {facet: np.zeros(TASKS) for facet in Facet}
        for number, (_, decision) in enumerate(decided):
            for each in decision.kept:
                weights[Facet(each.facet)][number] = 1 / each.inclusion_probability
        yield Window(rng.normal(means[kinds[hour]], 0.15), types[kinds[hour]], weights)


@pytest.fixture(scope="module", params=[EACH_TYPE, COMBINED], ids=["each type of policy", "combinations"])
def sampled(request: pytest.FixtureRequest) -> list[Window]:
    return list(windows(config(request.param)))


@pytest.mark.parametrize("facet", Facet)
def test_weighted_totals_are_unbiased(sampled: list[Window], facet: Facet):
    values, types = (np.concatenate([each[part] for each in sampled]) for part in (0, 1))
    weights = np.concatenate([each.weights[facet] for each in sampled])
    assert 0 < np.count_nonzero(weights) < len(weights)
    for stratum in range(len(TYPES)):
        chosen = types == stratum
        for what in (values, np.ones_like(values)):
            estimate, variance = _total(what[chosen], weights[chosen])
            assert estimate == pytest.approx(what[chosen].sum(), abs=3.5 * variance**0.5)


@pytest.mark.parametrize("facet", Facet)
def test_intervals_of_weighted_means_cover_the_truth_as_often_as_they_say(sampled: list[Window], facet: Facet):
    covered = []
    for window in sampled:
        for stratum in range(len(TYPES)):
            chosen = window.types == stratum
            values, weights = window.values[chosen], window.weights[facet][chosen]
            size = weights.sum()
            mean = (weights * values).sum() / size
            _, variance = _total(values - mean, weights)
            covered.append(abs(mean - values.mean()) <= 1.96 * variance**0.5 / size + 1e-9)
    error = (0.95 * 0.05 / len(covered)) ** 0.5
    assert np.mean(covered) >= 0.95 - 4 * error


def test_without_the_weights_the_estimates_are_wrong():
    sampled = list(windows(config(EACH_TYPE), 4))
    values = np.concatenate([each.values for each in sampled])
    kept = np.concatenate([each.weights[Facet.AST] for each in sampled]) > 0
    error = values[kept].std() / kept.sum() ** 0.5
    assert values[kept].mean() < values.mean() - 10 * error


def _total(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The weighted total (Horvitz and Thompson), and the estimate of its variance for independent draws."""
    kept = weights > 0
    taken, weight = values[kept], weights[kept]
    return float((taken * weight).sum()), float((weight * (weight - 1) * taken**2).sum())


# -- Revisions ---------------------------------------------------------------------------------------------


def test_samples_that_revisions_added_are_weighted_by_their_joint_probability():
    """Outcomes come late: of 50,000 tasks half fail, of which the first decision knows nothing."""
    configuration = config(
        """
        [[judge]]
        name = "unknown"
        when.rlLabels.finalOutcome.known = false
        probability = 0.2
        [[judge]]
        name = "succeeded"
        when.rlLabels.finalOutcome = "success"
        probability = 0.05
        [[judge]]
        name = "failed"
        when.rlLabels.finalOutcome = "failure"
        probability = 0.5
        """
    )
    sampler, count = Sampler(configuration), 50_000
    open_, success, failure = (record(outcome=each) for each in (None, Outcome.SUCCESS, Outcome.FAILURE))
    estimate = dict.fromkeys(Outcome, 0.0)
    for number, point in enumerate(copies(open_, range(count))):
        first = sampler.decide(point)
        outcome, known = (Outcome.FAILURE, failure) if number % 2 else (Outcome.SUCCESS, success)
        revised = with_decision(msgspec.structs.replace(known, id=point.id), first)
        for each in sampler.decide(revised).kept:
            estimate[outcome] += 1 / each.inclusion_probability
    for outcome, probability in ((Outcome.SUCCESS, 0.2), (Outcome.FAILURE, 0.5)):
        error = (count / 2 * (1 - probability) / probability) ** 0.5
        assert estimate[outcome] == pytest.approx(count / 2, abs=3.5 * error), outcome


# -- Rates and budgets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "budget", "sizes"),
    [
        ("per_hour = 100", 100, [(1, 0)]),
        ("calls_per_hour = 300", 300, [(1, 3), (1, 0), (1, 5), (1, 1)]),
        ("bytes_per_hour = 2_000_000", 2_000_000, [(5_000, 0), (80_000, 0), (20_000, 0)]),
        ("per_hour = 0.5", 0.5, [(1, 0)]),
    ],
)
def test_budgets_are_met_at_steady_load(policy: str, budget: float, sizes: list[tuple[int, int]]):
    """Over 60 hours of a Poisson number of tasks; the first has nothing to go by."""
    configuration = config(f"[[judge]]\nname = 'p'\n{policy}")
    costs, rng = cycle([Spent(1, *size) for size in sizes]), np.random.default_rng(7)
    spent: list[Spent] = []

    def cost() -> Spent:
        spent.append(next(costs))
        return spent[-1]

    used = []
    for _ in passing(configuration, hours_of(rng.poisson(400, 60)), cost):
        used.append(sum({"b": each.bytes, "c": each.calls, "p": 1}[policy[0]] for each in spent))
        spent.clear()
    steady = np.array(used[2:])
    assert steady.mean() == pytest.approx(budget, abs=4 * steady.std() / len(steady) ** 0.5)


def test_a_rate_of_tasks_that_are_few_is_not_exceeded_either():
    """Dividing by the number that the last hour had would keep a fifth too many of seven an hour."""
    configuration = config("[[judge]]\nname = 'p'\nper_hour = 3")
    counts = np.random.default_rng(8).poisson(7, 3000)
    kept = np.array(added(passing(configuration, hours_of(counts)))[1:])
    assert kept.mean() == pytest.approx(3, abs=4 * kept.std() / len(kept) ** 0.5)


def test_a_rate_follows_a_load_that_changed_after_one_window():
    configuration = config("[[judge]]\nname = 'p'\nper_hour = 50")
    kept = added(passing(configuration, hours_of([1000, 1000, 4000, 4000])))
    assert kept[1] == pytest.approx(50, abs=30)
    assert kept[2] == pytest.approx(200, abs=60), "what the last window says holds for one window"
    assert kept[3] == pytest.approx(50, abs=30)


def test_every_stratum_has_its_samples():
    """Of 5,000 tasks of one kind and 30 of another, the second kind's are all kept."""
    configuration = config("[[ast]]\nname='rare'\neach_stratum_per_hour=40")
    common, rare = record(), record(agent="omega")
    hours = ([*copies(common, range(at, at + 5000)), *copies(rare, range(at + 5000, at + 5030))] for at in (0, 10_000))
    _, decided = passing(configuration, hours)
    kept = [point.execution == rare.execution for point, decision in decided if decision.added]
    assert kept.count(True) == 30
    assert kept.count(False) == pytest.approx(40, abs=26)


def hours_of(counts: Iterable[int]) -> Iterator[Iterator[BenchmarkDataPoint]]:
    """So many tasks of one kind hour by hour."""
    point, number = record(), 0
    for count in counts:
        yield copies(point, range(number, number + int(count)))
        number += int(count)


def added(hours: Iterable[list[Decided]]) -> list[int]:
    """How many samples each hour added."""
    return [sum(len(decision.added) for _, decision in decided) for decided in hours]
