"""How records stand is told to those that forward their spans: by the point's id, and for strays that have joined."""

from __future__ import annotations

import uuid

from support.facts import batch, closed, evaluation, execution, lost, many, revise, task
from support.store import id_of

from collector_processor.convert.union import unite
from collector_processor.model.facts import Facts
from collector_processor.store.quarantine import Quarantine
from collector_processor.store.standings import read_standings

ME = {"author": "ada", "reason": "looked at it"}


def test_what_stands_and_what_readers_may_see(run, store):
    run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),))), *many(1, first=2))))
    stranger = uuid.uuid4()
    stand = run(read_standings(store._database, [id_of(), id_of(2), stranger]))
    assert set(stand.of_points) == {id_of(), id_of(2)}
    bad, good = stand.of_points[id_of()], stand.of_points[id_of(2)]
    assert (bad.state, bad.valid, bad.shown) == ("quarantined", False, True)
    assert "required-sections" in bad.gates_failed
    assert (good.state, good.valid, good.outcome, good.gates_failed) == ("accepted", True, "success", ())
    assert good.score is not None
    assert stand.of_strays == {}
    run(Quarantine(store._database, revise, unite).discard(id_of(), **ME))
    assert not run(read_standings(store._database, [id_of()])).of_points[id_of()].shown


def test_a_stray_stands_as_the_point_that_it_joined(run, store):
    waiting, joined = evaluation(5, 50, task_id="nobody's"), evaluation(5, 51)
    run(store.apply(batch(*many(1), lost(waiting, joined))))
    stand = run(read_standings(store._database, [], [waiting.fact_id, joined.fact_id]))
    assert {fact_id: each.id for fact_id, each in stand.of_strays.items()} == {joined.fact_id: id_of()}
    assert stand.of_points == {}
