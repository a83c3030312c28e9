"""Policies: which tasks they match, and with which probability they keep a facet of those."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from collector_processor.model.sampling import Facet, SamplingState, Spent

HOUR: Final = 3600 * 10**9
"""Nanoseconds."""


class Unit(StrEnum):
    """What a rate is counted in."""

    SAMPLES = "samples"
    BYTES = "bytes"
    CALLS = "calls"


class Fixed(NamedTuple):
    """The same probability for every task that is matched."""

    probability: float


class Rate(NamedTuple):
    """So many samples, bytes of samples or calls of a model an hour, by what the last window has seen."""

    unit: Unit
    per_hour: float
    initially: float
    at_most: float

    def threshold(self, tasks: int, hours: float, cost: float) -> float:
        """Return the probability for the next window after one with so many tasks, of which each sample costs `cost`.

        Dividing by one task more makes the expected sum the budget and never more: for a Poisson number N of tasks
        of mean m, E[m / (N + 1)] = 1 - exp(-m), whereas E[m / N] is above 1.
        """
        return min(self.at_most, self.per_hour * hours / (cost * (tasks + 1))) if cost > 0 else self.at_most


class EachStratum(NamedTuple):
    """So many samples an hour of each stratum (agent, task type and outcome): rare ones are all kept."""

    per_hour: float
    initially: float
    at_most: float

    def threshold(self, state: SamplingState, stratum: int) -> float:
        """Return the probability for a task of a stratum."""
        if not state.hours:
            return self.initially
        wanted, tasks = self.per_hour * state.hours, state.strata.get(stratum, state.rest)
        return self.at_most if tasks <= wanted else min(self.at_most, wanted / tasks)


Rule = Fixed | Rate | EachStratum


class Policy(NamedTuple):
    """One entry of a facet's list. `when` is the condition as it was written; empty, it matches every task."""

    facet: Facet
    name: str
    rule: Rule
    when: Mapping[str, Any] = {}

    @property
    def key(self) -> str:
        """`facet/policy`: unique in a configuration."""
        return f"{self.facet}/{self.name}"


class SamplingConfig(NamedTuple):
    """A whole configuration, checked.

    Attributes:
        seed: what draws depend on beside the point. It has to stay the same for as long as records may be revised.
        window: nanoseconds after which rates, budgets and strata look at what there was.
        policies: of all facets, in the order in which they stand; a facet without any is never kept.
        caps: facet → samples in any hour; above, analyses are shed.
        costs: facet → what one sample is taken to cost until some were measured.
    """

    seed: str
    window: int
    policies: tuple[Policy, ...]
    caps: Mapping[Facet, int]
    costs: Mapping[Facet, Spent]
