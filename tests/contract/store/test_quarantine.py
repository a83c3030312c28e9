"""What a person decides about a record sticks, is written down, and keeps the counts true."""

from __future__ import annotations

import uuid

import msgspec
import pytest
from support.facts import batch, closed, execution, late, many, revise, task, tool_call
from support.store import assert_balanced, counts, id_of

from collector_processor.convert.union import unite
from collector_processor.errors import StoreError
from collector_processor.model.facts import Facts
from collector_processor.model.record import FailedGate, Severity, State, Verdict
from collector_processor.model.stages import GuardedPoint
from collector_processor.store.figures import read_figures
from collector_processor.store.quarantine import Quarantine

ME = {"author": "ada", "reason": "looked at it"}
LATER = "2026-11-23T09:00:00.000000000Z"


@pytest.fixture
def quarantine(run, store):
    """Decisions on a database with one invalid record (nobody routed it) and one good one."""
    run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),))), *many(1, first=2))))
    return Quarantine(store._database, revise, unite)


def test_what_waits_is_listed_and_shown(run, quarantine):
    [waiting] = run(quarantine.newest())
    assert (waiting.id, waiting.task_id) == (id_of(), "t-1")
    assert "required-sections" in waiting.gates_failed
    assert run(quarantine.newest(limit=0)) == []
    assert run(quarantine.show(id_of())).state is State.QUARANTINED
    assert run(quarantine.show(id_of(2))).state is State.ACCEPTED
    with pytest.raises(StoreError, match="there is no record"):
        run(quarantine.show(uuid.uuid4()))


def test_a_released_record_stays_so_when_facts_come(run, store, quarantine, rows):
    released = run(quarantine.release(id_of(), **ME))
    assert (released.state, released.revision, released.verdict.valid) == (State.RELEASED, 1, False)
    assert run(quarantine.newest()) == []
    run(store.apply(batch(late(Facts(tool_calls=(tool_call(),))))))
    [point] = rows("SELECT state, revision, record ->> 'state' AS inside FROM benchmark.data_points WHERE NOT valid")
    assert point == {"state": "released", "revision": 2, "inside": "released"}
    assert rows("SELECT DISTINCT state FROM benchmark_data.point_keys ORDER BY 1") == [
        {"state": "accepted"},
        {"state": "released"},
    ]
    assert_balanced(rows)


def test_only_what_is_quarantined_can_be_released(run, quarantine):
    with pytest.raises(StoreError, match="is accepted: only a quarantined one"):
        run(quarantine.release(id_of(2), **ME))
    run(quarantine.release(id_of(), **ME))
    with pytest.raises(StoreError, match="is released: only a quarantined one"):
        run(quarantine.release(id_of(), **ME))


def critical(id_, facts, revision):
    """As the gates would judge a record in which a secret was found."""
    point = revise(id_, facts, revision).point
    verdict = Verdict(valid=False, rl_ready=False, gates_failed=(FailedGate("secrets", Severity.CRITICAL, "a key"),))
    return GuardedPoint(msgspec.structs.replace(point, verdict=verdict, state=State.QUARANTINED))


def test_a_critical_failure_ends_a_release_and_can_not_be_released(run, open_store, quarantine):
    run(quarantine.release(id_of(), **ME))

    async def revised():
        async with open_store(name="strict", revise=critical) as strict:
            await strict.apply(batch(late(Facts(tool_calls=(tool_call(),)))))

    run(revised())
    assert [waiting.id for waiting in run(quarantine.newest())] == [id_of()]
    with pytest.raises(StoreError, match="critical gate: correct or discard"):
        run(quarantine.release(id_of(), **ME))


def test_a_discarded_record_is_gone_for_good(run, store, quarantine, rows):
    run(quarantine.discard(id_of(), **ME))
    assert rows("SELECT task_id FROM benchmark.data_points") == [{"task_id": "t-2"}]
    assert run(read_figures(store._database)).collection["total_data_points"] == 1
    assert run(quarantine.newest()) == []
    assert run(quarantine.show(id_of())).state is State.DISCARDED
    again = run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),)), foreign=1))))
    assert counts(again) == {"discarded": 3}
    for decide in (quarantine.discard, quarantine.release):
        with pytest.raises(StoreError, match="is discarded"):
            run(decide(id_of(), **ME))
    with pytest.raises(StoreError, match="is discarded"):
        run(quarantine.correct(id_of(), [], time=LATER, **ME))
    assert rows("SELECT sum(discarded)::int AS spans FROM benchmark_data.batches") == [{"spans": 2 + 3}]
    assert_balanced(rows)


def test_a_correction_is_a_fact_and_outlives_revisions(run, store, quarantine, rows):
    patch = [{"op": "replace", "path": "/task/type", "value": "research"}]
    corrected = run(quarantine.correct(id_of(), patch, time=LATER, **ME))
    assert (corrected.task.type, corrected.revision) == ("research", 2)
    [correction] = corrected.facts.corrections
    assert (correction.time, correction.author, list(correction.patch)) == (LATER, "ada", patch)
    run(store.apply(batch(late(Facts(tool_calls=(tool_call(),))))))
    [point] = rows("SELECT task_type, revision, tool_call_count FROM benchmark.data_points WHERE task_id = 't-1'")
    assert point == {"task_type": "research", "revision": 3, "tool_call_count": 1}
    assert_balanced(rows)


def test_every_decision_is_written_down(run, quarantine):
    patch = [{"op": "replace", "path": "/task/type", "value": "research"}]
    run(quarantine.correct(id_of(), patch, time=LATER, **ME))
    run(quarantine.release(id_of(), author="bo", reason="enough"))
    run(quarantine.discard(id_of(), author="cy", reason="after all"))
    trail = run(quarantine.trail(id_of()))
    assert [(each.action, each.author, each.reason, each.patch) for each in trail] == [
        ("correct", "ada", "looked at it", patch),
        ("release", "bo", "enough", None),
        ("discard", "cy", "after all", None),
    ]
