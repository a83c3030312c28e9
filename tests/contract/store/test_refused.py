"""What the database won't take for a reason of its own is refused alone, with its error."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest
from support.facts import NOON, SECOND, batch, closed, execution, late, lost, many, revise, routing, task, whole
from support.store import assert_balanced, counts, execute

from collector_processor.errors import UnfitError
from collector_processor.model.facts import Agent, Facts

# Random enough that compression doesn't make it fit an index entry.
LONG = "".join(sha256(bytes([number])).hexdigest() for number in range(250))
POISON = {
    "NUL in a column": {"task_id": "a\0b"},
    "NUL in the record": {"description": "a\0b"},
    "lone surrogate in a column": {"task_id": "a\ud800b"},
    "lone surrogate in the record": {"description": "a\ud800b"},
    "a number that is too large": {"attempt": 2**63},
    "a time that is none": {"start": "0000-00-00T00:00:00.000000000Z"},
    "longer than an index entry": {},
}


def poisoned(name: str) -> Facts:
    facts = whole(50, task_id="t-50")
    [run] = facts.executions
    assert facts.task is not None
    agent = Agent(LONG) if name == "longer than an index entry" else run.agent
    return msgspec.structs.replace(
        facts,
        task=msgspec.structs.replace(facts.task, **POISON[name]),
        executions=(msgspec.structs.replace(run, agent=agent),),
    )


@pytest.mark.parametrize("name", POISON)
def test_one_bad_task_among_good_ones_is_refused_with_its_error(run, store, rows, name):
    stray = lost(routing(90, 9, task_id="t-3", start=NOON + 4 * SECOND))
    given = batch(*many(6), closed(poisoned(name), foreign=2), *many(6, first=7), stray)
    applied = run(store.apply(given))
    assert (applied.in_points, applied.accepted, applied.orphaned) == (61, 12, 0)
    [refused] = applied.refused
    assert (refused.trace_id, refused.span_id, refused.spans) == (b"\0" * 15 + b"\x32", b"\0" * 7 + b"\1", 7)
    assert refused.error
    assert len(rows("SELECT FROM benchmark.data_points")) == 12
    assert len(rows("SELECT FROM benchmark_data.point_keys")) == 12
    assert run(store.apply(given)) == applied
    assert_balanced(rows)


def test_an_error_that_quotes_a_value_is_told_by_its_name(run, open_store):
    def quotes(id_, facts, revision):
        if facts.task.task_id == "t-2":
            raise ValueError("mia.li@corp.com is no such thing")
        return revise(id_, facts, revision)

    async def scenario():
        async with open_store(revise=quotes) as store:
            return await store.apply(batch(*many(3)))

    assert [refused.error for refused in run(scenario()).refused] == ["ValueError"]


def test_a_bad_late_fact_leaves_its_record_alone(run, store, rows):
    run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),))))))
    [before] = rows("SELECT * FROM benchmark.data_points")
    bad = Facts(routings=(routing(rationale="a\0b"),))
    applied = run(store.apply(batch(late(bad), *many(2, first=5))))
    assert counts(applied) == {"in_points": 10, "accepted": 2}
    assert [refused.spans for refused in applied.refused] == [1]
    assert rows("SELECT * FROM benchmark.data_points WHERE id = %s", [before["id"]]) == [before]
    good = run(store.apply(batch(late(Facts(routings=(routing(),))))))
    assert counts(good) == {"in_points": 1, "revised": 1}


def test_a_bad_stray_is_refused(run, store, rows):
    applied = run(store.apply(batch(lost(routing(2, 9, rationale="a\0b"), routing(2, 10)))))
    assert counts(applied) == {"orphaned": 1}
    [refused] = applied.refused
    assert (refused.span_id, refused.spans) == ((9).to_bytes(8, "big"), 1)
    assert_balanced(rows)


def test_a_record_that_cannot_be_folded_is_refused(run, open_store, rows):
    def refuses(id_, facts, revision):
        if facts.task.task_id == "t-2":
            raise UnfitError("a\0 \ud800 fault of one record")
        return revise(id_, facts, revision)

    async def scenario():
        async with open_store(revise=refuses) as store:
            given = batch(*many(3))
            return await store.apply(given), await store.apply(given)

    applied, again = run(scenario())
    assert [refused.error for refused in applied.refused] == ["a ? fault of one record"]
    assert again == applied
    assert_balanced(rows)


def test_a_stored_record_that_cannot_be_read_is_named(run, store, rows):
    run(store.apply(batch(*many(2))))
    run(execute(store, "UPDATE benchmark_data.points SET record = '{}' WHERE task_id = 't-1'"))
    more = [late(Facts(executions=(execution(n, 20),)), trace=n) for n in (1, 2)]
    applied = run(store.apply(batch(*more)))
    assert counts(applied) == {"in_points": 1, "revised": 1}
    [refused] = applied.refused
    assert "can't be read" in refused.error
    assert refused.trace_id == (1).to_bytes(16, "big")
