"""One point, before and after: what a revision keeps, and what isn't one."""

from __future__ import annotations

import msgspec
import pytest
from support.facts import batch, closed, evaluation, revise, tool_call, whole
from support.store import counts, id_of

from collector_processor.convert.union import arrange, unite
from collector_processor.errors import UnfitError
from collector_processor.model.facts import Anomaly, Facts, Problem
from collector_processor.model.record import FailedGate, Severity, State, Verdict
from collector_processor.model.sampling import Tally
from collector_processor.model.stages import SpanKey
from collector_processor.store.contribution import Contribution, group
from collector_processor.store.merge import Brought, Held, carry_over, key_of, merge

KEY = SpanKey((1).to_bytes(16, "big"), (1).to_bytes(8, "big"))
RECORD = revise(id_of(), arrange(whole()), 3).point


def held(state="accepted", spans=5):
    return Held(KEY, state, spans, RECORD, RECORD.facts)


def share(facts, spans, repeated=0):
    return Contribution(id_of(), KEY, facts, spans, repeated)


def merged(before, **brings):
    return merge((id_of(), KEY), before, Brought(**brings), revise, unite)


def tally(result):
    return {name: value for name, value in result.tally.counts().items() if value}


def test_nothing_new_is_no_revision():
    result = merged(held(), contribution=share(arrange(whole()), 7))
    assert (result.key, result.record, tally(result)) == (None, None, {"duplicate": 7})


def test_a_new_fact_is_one():
    result = merged(held(), contribution=share(Facts(tool_calls=(tool_call(), tool_call(span=6))), 4))
    assert (result.key.revision, result.key.spans) == (4, 5 + 3)
    assert tally(result) == {"in_points": 3, "duplicate": 1, "revised": 1}
    assert result.replaced == result.key.timestamp


def test_strays_that_waited_came_before_what_comes_now():
    fact = tool_call(span=6)
    result = merged(held(), contribution=share(Facts(tool_calls=(fact,)), 1), waiting=(fact,), arriving=(fact,))
    assert result.moved.in_points == 1
    assert tally(result) == {"duplicate": 2, "revised": 1}
    assert result.key.spans == 6


def test_what_was_cleaned_in_a_stray_is_told_where_it_is_taken_in():
    new, known = tool_call(span=6), RECORD.facts.tool_calls[0]
    cleaned = [Anomaly(fact.span_id, "some.attribute", Problem.NUL_REMOVED) for fact in (new, known)]
    result = merged(held(), waiting=(new,), arriving=(known,), anomalies=tuple(cleaned))
    assert result.record.facts.anomalies == (cleaned[0],)


def test_a_fact_made_of_an_event_is_news_but_no_span():
    result = merged(held(), contribution=share(Facts(evaluations=(evaluation(fact_id="e" * 48),)), 0))
    assert (tally(result), result.key.spans) == ({"revised": 1}, 5)


@pytest.mark.parametrize("state", ["discarded", "erased"])
def test_a_tombstone_takes_all_in(state):
    fact = tool_call(span=6)
    result = merged(held(state), contribution=share(arrange(whole()), 7, 2), waiting=(fact,), arriving=(fact,))
    assert (result.key, tally(result), getattr(result.moved, state)) == (None, {state: 8}, 1)


def test_facts_without_a_task_await_it():
    result = merged(None, contribution=share(Facts(tool_calls=(tool_call(),)), 3))
    assert (result.key.state, result.key.timestamp, result.key.spans, result.record) == ("awaited", None, 3, None)
    assert msgspec.json.decode(result.awaited, type=Facts) == Facts(tool_calls=(tool_call(),))


@pytest.mark.parametrize(
    ("before", "critical", "judged", "after"),
    [
        (State.ACCEPTED, False, State.QUARANTINED, State.QUARANTINED),
        (State.QUARANTINED, False, State.ACCEPTED, State.ACCEPTED),
        (State.RELEASED, False, State.QUARANTINED, State.RELEASED),
        (State.RELEASED, False, State.ACCEPTED, State.RELEASED),
        (State.RELEASED, True, State.QUARANTINED, State.QUARANTINED),
    ],
)
def test_a_release_sticks_unless_a_critical_gate_fails(before, critical, judged, after):
    failed = (FailedGate("secrets", Severity.CRITICAL if critical else Severity.ERROR, "reason"),)
    later = msgspec.structs.replace(
        RECORD, state=judged, verdict=Verdict(valid=False, rl_ready=False, gates_failed=failed), timestamp="other"
    )
    carried = carry_over(msgspec.structs.replace(RECORD, state=before), later)
    assert (carried.state, carried.timestamp) == (after, RECORD.timestamp)


def test_a_record_without_a_task_has_no_key():
    with pytest.raises(UnfitError, match="task is null"):
        key_of(msgspec.structs.replace(RECORD, facts=Facts()), 0)


def test_a_batch_and_its_first_merge_agree_on_the_spans():
    [contribution] = group(batch(closed(whole(), foreign=4)), unite).contributions
    result = merged(None, contribution=contribution)
    assert (tally(result), result.key.spans) == ({"in_points": 9, "accepted": 1}, 9)
    assert counts(result.tally.applied([], Tally())) == tally(result)
