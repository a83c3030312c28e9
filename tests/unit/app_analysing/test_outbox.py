"""What analyses gave leaves in batches: not one by one, and never more than may wait."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from collector_processor.app.analysing import outbox as module
from collector_processor.app.analysing.outbox import MOST, MOST_BYTES, Ended, Outbox
from collector_processor.model.samples import Sample, SampleStatus
from collector_processor.model.sampling import Facet, Spent, Tally

FOREVER = 1e6


def ended(number: int, size: int = 2) -> Ended:
    sample = Sample(Facet.JUDGE, "judge/1", SampleStatus.COMPLETE, content=b"x" * size, calls=3)
    return Ended(number, UUID(int=number), [sample])


def taken(*given: Ended, under_way: int, most: int = 1) -> list[list[int]]:
    """Numbers as they leave, in so many batches at most, when all are given at once."""

    async def run() -> list[list[int]]:
        outbox = Outbox(lambda: under_way)
        putting = [asyncio.create_task(outbox.put(each)) for each in given]
        batches = [[each.number for each in await outbox.take()] for _ in range(most)]
        for put in putting:
            put.cancel()
        await asyncio.gather(*putting, return_exceptions=True)
        return batches

    return asyncio.run(run())


@pytest.fixture
def endless(monkeypatch):
    """Who gathers has all the time there is."""
    monkeypatch.setattr(module, "GATHER_SECONDS", FOREVER)


@pytest.mark.usefixtures("endless")
def test_the_last_that_is_under_way_lets_all_leave():
    assert taken(ended(1), ended(2), ended(3), under_way=3) == [[1, 2, 3]]


@pytest.mark.usefixtures("endless")
def test_no_more_than_may_wait_leave_together():
    many = [ended(number) for number in range(2 * MOST)]
    first, second = taken(*many, under_way=1000, most=2)
    assert (first, second) == ([*range(MOST)], [*range(MOST, 2 * MOST)])


@pytest.mark.usefixtures("endless")
def test_large_ones_leave_in_smaller_batches():
    assert taken(*[ended(number, MOST_BYTES) for number in (1, 2)], under_way=1000, most=2) == [[1], [2]]


def test_they_leave_after_a_while_whatever_else_is_under_way(monkeypatch):
    monkeypatch.setattr(module, "GATHER_SECONDS", 0.01)
    assert taken(ended(1), under_way=1000) == [[1]]


def test_what_was_not_carried_out_cost_nothing():
    shed = Sample(Facet.AST, "ast", SampleStatus.SHED)
    both = Ended(1, UUID(int=1), [*ended(1, 10).samples, shed])
    assert both.cost == Tally(spent={Facet.JUDGE: Spent(1, 10, 3)})
