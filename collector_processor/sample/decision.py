r"""The decision about one task: its number u against the largest threshold of the policies that match, facet by facet.

**Weights.** A facet is kept where u < p, with p the largest threshold of all policies that match. u depends on the
point alone and p on the record and the state that the batch was sealed with, so p is the facet's inclusion
probability, and a sum over samples weighted by 1/p has the sum over all tasks as its expectation. Facets share u, so
the probability of two of them together is the smaller p. A threshold that follows earlier draws (a budget in bytes)
is fixed before u is drawn: 1/p is unbiased given what came before, hence unbiased.

**Revisions.** A record that is revised is decided again, by the same u, and a kept sample stays. Let p1, p2, … be the
thresholds of its revisions. It is kept by revision n exactly where u < max(p1, …, pn): this maximum is the joint
probability. It can be had without memory of revisions that kept nothing: what is kept for the first time at
revision n has p1, …, p(n-1) ≤ u < pn, so pn is the maximum; and what was kept before carries the maximum so far in its
record, to be compared with pn. This needs revisions that come whatever u is. Late facts do. A person's correction may
not (people correct what they look at, and they look at samples), so a correction decides nothing. One thing is left
out: what a sample cost has its small share in the budget's threshold by which a later revision of it is decided.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from collector_processor.model.record import BenchmarkDataPoint
from collector_processor.model.sampling import Choice, Decision, Facet, SamplingState, Tally
from collector_processor.sample.conditions import Condition, Problems, compiled, first_of
from collector_processor.sample.draw import RANGE, Draw, agent_of, stratum_of, tools_of
from collector_processor.sample.policies import EachStratum, Fixed, Policy, Rate, Rule, SamplingConfig, Unit

NOTHING_KNOWN: Final = SamplingState()


class _Compiled(NamedTuple):
    """A policy, ready to be asked. `condition` is None where every task matches."""

    name: str
    condition: Condition | None
    rule: Rule
    key: str
    adaptive: bool


class Sampler:
    """Decides by a configuration; equal points and states are decided equally, in whatever process."""

    def __init__(self, config: SamplingConfig) -> None:
        self._draw = Draw(config.seed)
        self._facets = [
            (facet, [_ready(policy) for policy in config.policies if policy.facet is facet]) for facet in Facet
        ]
        self._rates = [each for _, policies in self._facets for each in policies if isinstance(each.rule, Rate)]
        self._counts_strata = any(isinstance(policy.rule, EachStratum) for policy in config.policies)
        self._first = max([0, *(first_of(policy.when) for policy in config.policies)])

    def decide(self, point: BenchmarkDataPoint, state: SamplingState = NOTHING_KNOWN) -> Decision:
        """Decide about a folded and judged record. What its `sampling.facets` hold was kept before, and stays."""
        number = self._draw(point.id)
        before = {each.facet: each for each in point.sampling.facets} if point.sampling.facets else {}
        choices: list[Choice] = []
        matched: list[str] = []
        for facet, policies in self._facets:
            probability, taker, adaptive = 0.0, "", False
            for each in policies:
                if each.condition is not None and not each.condition(point, state):
                    continue
                rule = each.rule
                if isinstance(rule, Fixed):
                    threshold = rule.probability
                elif isinstance(rule, Rate):
                    threshold = state.thresholds.get(each.key, rule.initially)
                    matched.append(each.key)
                else:
                    threshold = rule.threshold(state, stratum_of(point))
                if threshold > probability:
                    probability, taker, adaptive = threshold, each.name, each.adaptive
            if (earlier := before.get(facet)) is not None:
                probability = max(probability, earlier.inclusion_probability)
                choices.append(Choice(facet, True, False, probability, earlier.policy, adaptive))
            elif probability:
                # A product with a power of two is exact, so that no rounding shifts the bound.
                kept = number < probability * RANGE
                choices.append(Choice(facet, kept, kept, probability, taker, adaptive))
        return Decision(tuple(choices), tuple(matched))

    def tally(
        self,
        point: BenchmarkDataPoint,
        decision: Decision,
        state: SamplingState = NOTHING_KNOWN,
        earlier: BenchmarkDataPoint | None = None,
    ) -> Tally:
        """Return what a decided record has to add to what policies know; `earlier` is the one that it revises.

        A revision counts for what it matches and its predecessor did not.
        """
        matched = decision.matched
        stratum = stratum_of(point) if self._counts_strata else None
        if earlier is not None:
            repeated = {each.key for each in self._rates if each.condition is None or each.condition(earlier, state)}
            matched = tuple([key for key in matched if key not in repeated])
            if stratum is not None and stratum == stratum_of(earlier):
                stratum = None
        return Tally(
            tasks=int(earlier is None),
            kept=dict.fromkeys(decision.added, 1),
            matched=dict.fromkeys(matched, 1),
            strata={} if stratum is None else {stratum: 1},
            seen=dict.fromkeys(self._unknown(point, state), 1) if self._first and earlier is None else {},
        )

    def _unknown(self, point: BenchmarkDataPoint, state: SamplingState) -> list[int]:
        """Agent and tools of which policies want to know how often they were seen."""
        return [name for name in (*agent_of(point), *tools_of(point)) if state.seen.get(name, 0) < self._first]


def with_decision(point: BenchmarkDataPoint, decision: Decision) -> BenchmarkDataPoint:
    """Return the record with the facets that are kept."""
    if not (kept := decision.kept) and not point.sampling.facets:
        return point
    sampling = msgspec.structs.replace(point.sampling, facets=kept)
    return msgspec.structs.replace(point, sampling=sampling)


def _ready(policy: Policy) -> _Compiled:
    condition = compiled(policy.when, policy.key, Problems()) if policy.when else None
    adaptive = isinstance(policy.rule, Rate) and policy.rule.unit is not Unit.SAMPLES
    return _Compiled(policy.name, condition, policy.rule, policy.key, adaptive)
