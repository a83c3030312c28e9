"""What a configuration would have kept of records that are stored, stratum by stratum, and what that would cost.

Records are taken in order of time, and windows pass as they did: rates, budgets and strata begin with nothing known,
and every agent and tool is new at first. The draws are those of the real decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from collector_processor.model.record import BenchmarkDataPoint, FacetSampling
from collector_processor.model.sampling import Admitted, Facet, SamplingMemory, Spent, Tally
from collector_processor.model.times import to_nanoseconds
from collector_processor.sample.cap import admit
from collector_processor.sample.decision import Sampler
from collector_processor.sample.draw import stratum_names
from collector_processor.sample.policies import SamplingConfig
from collector_processor.sample.window import advance

MAX_ROWS: Final = 1000
"""Strata that are told one by one; the others are told together."""
_BATCH: Final = 200
"""Tallies, two a record, after which what was seen of them counts, as it does when batches are written."""
_OTHERS: Final = ("(others)", "(others)", "(others)")

Names = tuple[str | None, str | None, str | None]
"""Agent, task type and outcome."""


class Simulated(NamedTuple):
    """A stratum, or all of them (names are null).

    Attributes:
        names: agent, task type, outcome.
        tasks: how many there were.
        touched: of how many at least one facet would be kept.
        kept: facet → samples.
        expected: facet → sum of the probabilities: `kept` without the luck of the draw.
        shed: facet → samples above the hard cap, which `kept` has too.
        stored: facet → samples that the records say were kept when they came.
        bytes: of the samples, without those that were shed.
        calls: of a model, likewise.
    """

    names: Names
    tasks: int
    touched: int
    kept: Mapping[Facet, int]
    expected: Mapping[Facet, float]
    shed: Mapping[Facet, int]
    stored: Mapping[Facet, int]
    bytes: int
    calls: int


class _Row:
    """One stratum's account while it is added up."""

    def __init__(self) -> None:
        self.tasks = self.touched = 0
        self.kept: Counter[Facet] = Counter()
        self.expected: dict[Facet, float] = dict.fromkeys(Facet, 0.0)
        self.shed: Counter[Facet] = Counter()
        self.stored: Counter[Facet] = Counter()

    def plus(self, other: _Row) -> None:
        self.tasks += other.tasks
        self.touched += other.touched
        self.kept += other.kept
        self.shed += other.shed
        self.stored += other.stored
        for facet, probability in other.expected.items():
            self.expected[facet] += probability


class Simulation:
    """Takes records page by page.

    Args:
        config: what would decide.
        measured: facet → what stored samples have cost; others cost what the configuration takes them to.
    """

    def __init__(self, config: SamplingConfig, measured: Mapping[Facet, Spent]) -> None:
        self._config = config
        self._sampler = Sampler(config)
        self._costs = {**config.costs, **{facet: spent for facet, spent in measured.items() if spent.samples}}
        self._memory = SamplingMemory(costs=self._costs)
        self._seen: list[Tally] = []
        self._admitted = Admitted()
        self._rows: dict[Names, _Row] = {}

    def add(self, points: Iterable[BenchmarkDataPoint]) -> None:
        """Decide about records, which come in order of time."""
        for point in points:
            now = to_nanoseconds(point.timestamp)
            stored = point.sampling.facets
            asked = msgspec.structs.replace(point, sampling=msgspec.structs.replace(point.sampling, facets=()))
            if len(self._seen) >= _BATCH or now - self._memory.since >= self._config.window:
                self._memory = advance(self._memory, self._seen, self._config, now)
                self._seen = []
            decision = self._sampler.decide(asked, self._memory.state)
            tally = self._sampler.tally(asked, decision, self._memory.state)
            row = self._row(stratum_names(point))
            row.tasks += 1
            row.touched += bool(decision.added)
            row.kept.update(decision.added)
            for choice in decision.choices:
                row.expected[choice.facet] += choice.probability
            row.stored.update(_facets(stored))
            spent = {facet: self._spent(facet) for facet in self._admit(decision.added, row, now)}
            self._seen += [tally, Tally(spent=spent)]

    def rows(self) -> list[Simulated]:
        """Every stratum, those with the most tasks first."""
        ordered = sorted(self._rows.items(), key=lambda item: (-item[1].tasks, [name or "" for name in item[0]]))
        return [self._told(names, row) for names, row in ordered]

    def whole(self) -> Simulated:
        """All strata together."""
        whole = _Row()
        for row in self._rows.values():
            whole.plus(row)
        return self._told((None, None, None), whole)

    def _row(self, names: Names) -> _Row:
        if names not in self._rows and len(self._rows) >= MAX_ROWS:
            names = _OTHERS
        return self._rows.setdefault(names, _Row())

    def _admit(self, added: Iterable[Facet], row: _Row, now: int) -> Iterator[Facet]:
        for facet in added:
            admitted = admit(self._admitted, facet, self._config.caps, now)
            if admitted is None:
                row.shed[facet] += 1
            else:
                self._admitted = admitted
                yield facet

    def _spent(self, facet: Facet, samples: int = 1) -> Spent:
        cost = self._costs[facet]
        return Spent(samples, round(cost.bytes * samples / cost.samples), round(cost.calls * samples / cost.samples))

    def _told(self, names: Names, row: _Row) -> Simulated:
        spent = [self._spent(facet, count - row.shed[facet]) for facet, count in row.kept.items()]
        return Simulated(
            names,
            row.tasks,
            row.touched,
            dict(row.kept),
            row.expected,
            dict(row.shed),
            dict(row.stored),
            sum(each.bytes for each in spent),
            sum(each.calls for each in spent),
        )


def _facets(kept: Iterable[FacetSampling]) -> list[Facet]:
    known = {*Facet}
    return [Facet(each.facet) for each in kept if each.facet in known]
