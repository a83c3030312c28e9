"""What a person decides about a record sticks, is written down, and keeps the counts true."""

from __future__ import annotations

import uuid
from datetime import timedelta

import msgspec
import pytest
from support.facts import (
    BASELINE,
    NOON,
    batch,
    closed,
    evaluation,
    execution,
    late,
    many,
    revise,
    task,
    tool_call,
    whole,
)
from support.store import assert_balanced, counts, id_of

from collector_processor.convert.fold import FoldSettings, fold
from collector_processor.convert.union import unite
from collector_processor.errors import StoreError
from collector_processor.guard import GateSettings, judge
from collector_processor.model.facts import Agent, Facts, Problem
from collector_processor.model.record import FailedGate, Severity, State, Verdict
from collector_processor.model.stages import GuardedPoint
from collector_processor.store.figures import read_figures
from collector_processor.store.quarantine import Quarantine, Selection

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


# -- Choosing, judging again -------------------------------------------------------------------------------------


@pytest.fixture
def several(run, store, quarantine):
    """Beside the first: one of another type and agent, a day later; and one with a warning that is accepted."""
    tomorrow = NOON + timedelta(days=1)
    of_five = {"task_id": "t-5", "start": tomorrow}
    unrouted = Facts(
        task=task(5, type="research", **of_five), executions=(execution(5, agent=Agent("beta"), **of_five),)
    )
    odd = whole(6, task_id="t-6", complexity="unheard of")
    run(store.apply(batch(closed(unrouted), closed(odd))))
    return quarantine


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection(), ["t-5", "t-1"]),
        (Selection(gate="required-sections"), ["t-5", "t-1"]),
        (Selection(gate="enums"), []),
        (Selection((State.ACCEPTED,), gate="enums"), ["t-6"]),
        (Selection((State.ACCEPTED, State.QUARANTINED), severity="warning"), ["t-6"]),
        (Selection(gate="reported", severity="error"), []),
        (Selection(gate="reported", severity="incomplete"), ["t-5", "t-1"]),
        (Selection(task_type="research"), ["t-5"]),
        (Selection(agent="alpha"), ["t-1"]),
        (Selection(since=NOON + timedelta(hours=1)), ["t-5"]),
        (Selection(task_type="research", agent="alpha"), []),
    ],
)
def test_records_are_chosen_by_all_that_is_given(run, several, selection, found):
    assert [each.task_id for each in run(several.newest(selection))] == found
    assert [each.task_id for each in run(several.newest(selection, limit=None))] == found


def test_a_record_in_the_list_says_what_it_is(run, several):
    [newest, _] = run(several.newest())
    assert (newest.task_type, newest.agent_id, newest.state) == ("research", "beta", "quarantined")
    assert dict(zip(newest.gates_failed, newest.severities, strict=True))["reported"] == "incomplete"


def by(severities):
    """Folds and judges with other severities than those the records were stored with."""

    def revise_so(id_, facts, revision):
        return judge(fold(id_, facts, revision, FoldSettings()), GateSettings(severities=severities))

    return revise_so


def test_todays_settings_judge_again(run, store, several, rows):
    mild = Quarantine(store._database, by({"required-sections": Severity.WARNING}), unite)
    judged = run(mild.revalidate(id_of(), **ME))
    assert (judged.state, judged.revision, judged.verdict.valid) == (State.ACCEPTED, 2, True)
    strict = Quarantine(store._database, by({"enums": Severity.ERROR}), unite)
    assert run(strict.revalidate(id_of(6), **ME)).state is State.QUARANTINED
    assert [each.task_id for each in run(several.newest())] == ["t-5", "t-6"]
    assert rows("SELECT task_id FROM benchmark.exportable WHERE task_id = 't-1'") == [{"task_id": "t-1"}]
    assert_balanced(rows)


def test_judging_again_without_a_difference_is_written_down_but_no_revision(run, several, rows):
    judged = run(several.revalidate(id_of(), **ME))
    assert (judged.state, judged.revision) == (State.QUARANTINED, 1)
    assert [each.action for each in run(several.trail(id_of()))] == ["revalidate"]
    assert rows("SELECT revision FROM benchmark_data.point_keys WHERE task_id = 't-1'") == [{"revision": 1}]


def test_judging_again_leaves_a_release_and_a_discard_alone(run, store, several):
    run(several.release(id_of(), **ME))
    mild = Quarantine(store._database, by({"required-sections": Severity.WARNING}), unite)
    assert run(mild.revalidate(id_of(), **ME)).state is State.RELEASED
    grave = Quarantine(store._database, by({"required-sections": Severity.CRITICAL}), unite)
    assert run(grave.revalidate(id_of(), **ME)).state is State.QUARANTINED
    run(several.discard(id_of(), **ME))
    with pytest.raises(StoreError, match="is discarded"):
        run(several.revalidate(id_of(), **ME))


def test_the_baseline_that_stood_is_kept_when_judged_again(run, store, several):
    """A window of today may hold the record itself."""
    slow = msgspec.structs.replace(whole(7, task_id="t-7"), baseline=BASELINE)
    slow = msgspec.structs.replace(slow, executions=(execution(7, task_id="t-7", latency_ms=50_000.0),))
    run(store.apply(batch(closed(slow))))
    strict = Quarantine(store._database, by({"latency-outlier": Severity.ERROR}), unite)
    judged = run(strict.revalidate(id_of(7), **ME))
    assert (judged.state, judged.facts.baseline) == (State.QUARANTINED, BASELINE)


def test_all_decisions_newest_first(run, several):
    patch = [{"op": "replace", "path": "/task/type", "value": "research"}]
    run(several.correct(id_of(), patch, time=LATER, **ME))
    run(several.release(id_of(), author="bo", reason="enough"))
    run(several.discard(id_of(5), author="bo", reason="after all"))
    found = run(several.audit())
    assert [(each.id, each.action, each.author, each.patch) for each in found] == [
        (id_of(5), "discard", "bo", None),
        (id_of(), "release", "bo", None),
        (id_of(), "correct", "ada", patch),
    ]
    assert [each.action for each in run(several.audit(author="bo", limit=1))] == ["discard"]
    assert [each.author for each in run(several.audit(action="correct"))] == ["ada"]
    assert len(run(several.audit(since=found[0].time))) == 1


def test_a_correction_that_later_facts_leave_no_place_for_is_told(run, store, quarantine):
    """It corrects a gate of the evaluation; a later evaluation has none. It stays a fact."""
    run(store.apply(batch(late(Facts(evaluations=(evaluation(),))))))
    patch = [{"op": "replace", "path": "/evaluation/qualityGates/0/passed", "value": False}]
    corrected = run(quarantine.correct(id_of(), patch, time=LATER, **ME))
    assert corrected.evaluation.quality_gates[0].passed is False
    newer = evaluation(span=8, start=NOON + timedelta(minutes=1), quality_gates=())
    run(store.apply(batch(late(Facts(evaluations=(newer,))))))
    record = run(quarantine.show(id_of()))
    [anomaly] = record.facts.anomalies
    assert (anomaly.problem, anomaly.field) == (Problem.CORRECTION_UNFIT, "facts.corrections[0]")
    assert anomaly.detail.startswith(f"the correction of {LATER} is left out: step 1 of the patch")
    assert len(record.facts.corrections) == 1
    newest = evaluation(span=9, start=NOON + timedelta(minutes=2))
    run(store.apply(batch(late(Facts(evaluations=(newest,))))))
    record = run(quarantine.show(id_of()))
    assert (record.facts.anomalies, record.evaluation.quality_gates[0].passed) == ((), False)
    again = run(store.apply(batch(late(Facts(evaluations=(newest,))))))
    assert counts(again) == {"duplicate": 1}
