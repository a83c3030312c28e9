"""Batches of several pages: points are new, known, unfit and without their task in every one of them."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
from support.facts import batch, closed, evaluation, late, many, revise, whole
from support.store import assert_balanced, counts, id_of

from collector_processor.model.facts import Facts
from collector_processor.model.stages import GuardedPoint
from collector_processor.store.writing import _PAGE

COPYING = (
    "SELECT FROM pg_stat_activity"
    " WHERE datname = current_database() AND state = 'active' AND query LIKE '%COPY benchmark_data.points%'"
    " AND pid <> pg_backend_pid()"
)
TASKS = 2 * _PAGE + _PAGE // 2


def test_every_task_of_a_large_batch_finds_its_way(run, open_store, rows):
    """Every third exists without its evaluation, every fourth of the others is unfit, some await their task."""
    whole_ones = {number: whole(number, task_id=f"t-{number}") for number in range(1, TASKS + 1)}
    known = {number for number in whole_ones if number % 3 == 0}
    unfit = {id_of(number): number for number in whole_ones if number % 3 and number % 4 == 0}
    early = range(TASKS + 1, TASKS + 51)

    def picky(id_: UUID, facts: Facts, revision: int) -> GuardedPoint:
        if id_ in unfit:
            raise ValueError("unfit")
        return revise(id_, facts, revision)

    async def store_all() -> Any:
        async with open_store(revise=picky) as store:
            before = [msgspec.structs.replace(whole_ones[number], evaluations=()) for number in sorted(known)]
            await store.apply(batch(*map(closed, before)))
            some = [closed(facts) for facts in whole_ones.values()]
            some += [late(Facts(evaluations=(evaluation(number),)), trace=number) for number in early]
            return await store.apply(batch(*some))

    applied = run(store_all())
    new = TASKS - len(known) - len(unfit)
    assert counts(applied) == {
        "in_points": 5 * new + len(known) + len(early),
        "duplicate": 4 * len(known),
        "accepted": new,
        "revised": len(known),
    }
    assert {(each.trace_id, each.error) for each in applied.refused} == {
        (number.to_bytes(16, "big"), "ValueError") for number in unfit.values()
    }
    stored = rows("SELECT id, revision, overall_score FROM benchmark.data_points")
    assert {(each["id"], each["revision"]) for each in stored} == {
        (id_of(number), 2 if number in known else 1) for number in whole_ones if id_of(number) not in unfit
    }
    assert all(each["overall_score"] is not None for each in stored)
    assert rows("SELECT count(*) AS count FROM benchmark_data.awaited") == [{"count": len(early)}]
    assert_balanced(rows)


def test_two_large_batches_of_the_same_tasks_take_turns(run, open_store, rows, full_server):
    """In opposite order, at the same time: neither waits for the other for ever, and each span is stored once."""
    tasks = list(many(TASKS))

    async def both() -> list[Any]:
        async with open_store(name="first") as first, open_store(name="second") as second:
            return [*await asyncio.gather(first.apply(batch(*tasks)), second.apply(batch(*reversed(tasks))))]

    applied = run(both())
    assert sum(each.in_points for each in applied) == sum(each.duplicate for each in applied) == 5 * TASKS
    assert rows("SELECT count(*) AS count, max(revision) AS revision FROM benchmark.data_points") == [
        {"count": TASKS, "revision": 1}
    ]
    assert_balanced(rows)


def test_the_next_page_is_folded_while_the_server_writes_this_one(run, open_store, rows, full_server):
    """Seen from within the folding of the first and the last task of each page."""
    folded = 0
    copying: list[int] = []

    def watched(id_: UUID, facts: Facts, revision: int) -> GuardedPoint:
        nonlocal folded
        if folded % _PAGE in {0, _PAGE - 1}:
            copying.append(len(rows(COPYING)))
        folded += 1
        return revise(id_, facts, revision)

    async def store_all() -> None:
        async with open_store(revise=watched) as store:
            await store.apply(batch(*many(2 * _PAGE)))

    run(store_all())
    assert copying == [0, 0, 1, 1]
