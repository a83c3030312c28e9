"""What other policies would have kept: the real draws, hour by hour, stratum by stratum, with their cost."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from support.facts import NOON, SECOND, written
from support.sampled import config, copies, kept_before, record

from collector_processor.model.record import BenchmarkDataPoint, FacetSampling, Outcome
from collector_processor.model.sampling import Facet, Spent
from collector_processor.sample import Sampler, Simulation, default_document
from collector_processor.sample.simulate import MAX_ROWS

DEFAULT = config(default_document())


def at(points: Iterator[BenchmarkDataPoint], seconds_apart: float) -> Iterator[BenchmarkDataPoint]:
    """The same records, received one after the other."""
    for number, point in enumerate(points):
        yield msgspec.structs.replace(point, timestamp=written(NOON + number * seconds_apart * SECOND))


def test_it_keeps_what_the_real_decision_keeps_and_tells_what_it_costs():
    simulation = Simulation(DEFAULT, {Facet.AST: Spent(10, 300_000, 0)})
    easy = list(at(copies(record(), range(2000)), 1))
    hard = list(at(copies(record(complexity="complex", outcome=Outcome.FAILURE), range(5000, 6000)), 1))
    simulation.add(easy)
    simulation.add(hard)
    rows, sampler = {row.names: row for row in simulation.rows()}, Sampler(DEFAULT)
    assert [row.tasks for row in simulation.rows()] == [2000, 1000]
    for points, outcome in ((easy, "success"), (hard, "failure")):
        row = rows["alpha", "code-editing", outcome]
        kept = [facet for point in points for facet in sampler.decide(point).added]
        assert row.kept == {facet: kept.count(facet) for facet in Facet if facet in kept}
        assert row.touched == row.kept[Facet.JUDGE]
        assert row.expected[Facet.JUDGE] == pytest.approx(0.2 * row.tasks)
        # AST as measured, the others as the configuration takes them: 10 kB, conversations 200 kB.
        conversations = row.kept.get(Facet.CONVERSATION, 0)
        others = row.kept[Facet.JUDGE] + row.kept[Facet.REFLECTION]
        assert row.bytes == 30_000 * row.kept[Facet.AST] + 200_000 * conversations + 10_000 * others
        assert row.calls == others
    whole = simulation.whole()
    assert (whole.tasks, whole.touched) == (3000, sum(row.touched for row in rows.values()))
    assert whole.bytes == sum(row.bytes for row in rows.values())
    assert rows["alpha", "code-editing", "failure"].kept[Facet.CONVERSATION] > 0


def test_it_decides_afresh_and_tells_what_was_kept_when_the_records_came():
    before = kept_before(record(), FacetSampling("ast", 1.0, "was"), FacetSampling("gone", 1.0, "was"))
    simulation = Simulation(config("[[judge]]\nname='p'\nalways=true"), {})
    simulation.add([before])
    whole = simulation.whole()
    assert (whole.kept, whole.stored) == ({Facet.JUDGE: 1}, {Facet.AST: 1})


def test_rates_take_hold_after_the_first_window():
    """A task a second: 3,600 an hour, of which 36 are to be kept."""
    simulation = Simulation(config("[[judge]]\nname='p'\nper_hour=36\ninitially=0.5"), {})
    points = list(at(copies(record(), range(4 * 3600)), 1))
    counts = []
    for hour in range(4):
        simulation.add(points[hour * 3600 : (hour + 1) * 3600])
        counts.append(simulation.whole().kept[Facet.JUDGE])
    assert counts[0] == pytest.approx(1800, abs=120)
    assert counts[3] - counts[0] == pytest.approx(3 * 36, abs=45)


def test_first_tasks_are_kept_until_there_were_enough():
    simulation = Simulation(config("[[ast]]\nname='new'\nwhen.first.agent=100\nalways=true"), {})
    simulation.add(at(copies(record(), range(1000)), 1))
    assert simulation.whole().kept == {Facet.AST: 100}


def test_what_the_hard_cap_sheds_costs_nothing():
    simulation = Simulation(config("[[judge]]\nname='p'\nalways=true\n[cap]\njudge=7\n[cost.judge]\nbytes=10"), {})
    simulation.add(at(copies(record(), range(100)), 1))
    whole = simulation.whole()
    assert (whole.kept, whole.shed) == ({Facet.JUDGE: 100}, {Facet.JUDGE: 93})
    assert (whole.bytes, whole.calls) == (70, 7)


def test_rows_are_bounded():
    simulation = Simulation(DEFAULT, {})
    simulation.add(at(iter([record(number, agent=f"agent-{number}") for number in range(MAX_ROWS + 5)]), 1))
    assert len(simulation.rows()) == MAX_ROWS + 1
    assert simulation.rows()[0].names == ("(others)",) * 3
    assert simulation.whole().tasks == MAX_ROWS + 5


def test_no_records_are_no_rows():
    simulation = Simulation(DEFAULT, {})
    assert simulation.rows() == []
    assert simulation.whole().tasks == 0
