"""A batch, sorted by point; every span of it counted once."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.facts import batch, closed, evaluation, execution, late, lost, routing, task, tool_call, whole
from support.store import id_of

from collector_processor.convert.union import arrange, unite
from collector_processor.model.facts import Facts
from collector_processor.model.stages import SpanKey, Undecodable
from collector_processor.store.contribution import (
    decode_fact,
    fact_ids,
    facts_of,
    group,
    kind_of,
    span_ids,
    without,
)

EVENT = "e" * 48
"""Id of a fact that is made of an event: not a trace and span id."""


def test_tasks_are_sorted_by_point_and_united():
    more = Facts(tool_calls=(tool_call(), tool_call(span=6)))
    grouped = group(batch(closed(whole(2), foreign=3), closed(whole(1)), late(more, foreign=1)), unite)
    ids = [share.id for share in grouped.contributions]
    assert ids == sorted({id_of(1), id_of(2)})
    share = grouped.contributions[ids.index(id_of(1))]
    assert (share.spans, share.repeated, share.silent) == (8, 1, 1)
    assert share.facts == unite(arrange(whole(1)), more)


def test_late_spans_that_say_nothing_need_no_point():
    grouped = group(batch(late(Facts(), foreign=4)), unite)
    assert (grouped.contributions, grouped.repeated) == ([], 4)


def test_a_late_fragment_that_was_cut_is_news():
    assert len(group(batch(late(Facts(truncated=True), foreign=4)), unite).contributions) == 1


def test_strays_are_sorted_and_once_each():
    grouped = group(batch(lost(routing(9, 2), routing(9, 1), foreign=2), lost(routing(9, 1))), unite)
    assert [stray.key.span_id[-1] for stray in grouped.strays] == [1, 2]
    assert (grouped.repeated, grouped.speechless) == (1, 2)


def test_a_stray_made_of_an_event_is_no_span():
    grouped = group(batch(lost(evaluation(9, 2, fact_id=EVENT))), unite)
    assert (len(grouped.strays), grouped.speechless) == (1, 1)


def test_undecodable_spans_are_listed():
    bad = Undecodable(SpanKey(b"a" * 16, b"b" * 8), b"raw", "why")
    grouped = group(batch(closed(whole(), undecodable=[bad])), unite)
    assert grouped.undecodable == [(b"a" * 16, b"b" * 8, b"raw", "why")]


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(4, 7), st.integers(0, 3)), max_size=8))
def test_no_span_is_lost_in_sorting(portions):
    tasks = [late(Facts(tool_calls=(tool_call(t, s),)), trace=t, foreign=foreign) for t, s, foreign in portions]
    grouped = group(batch(*tasks), unite)
    assert sum(share.spans for share in grouped.contributions) == sum(each.spans for each in tasks)
    for share in grouped.contributions:
        assert share.silent >= 0
        assert share.spans == share.silent + share.repeated + len(span_ids(share.facts))


def test_identities():
    facts = msgspec.structs.replace(whole(), evaluations=(evaluation(fact_id=EVENT), evaluation(span=7)))
    assert len(fact_ids(facts)) == 6
    assert fact_ids(facts) - span_ids(facts) == {EVENT}
    left = without(facts, frozenset({EVENT, routing().fact_id, task().fact_id}))
    assert fact_ids(facts) - fact_ids(left) == {EVENT, routing().fact_id}


def test_stray_facts_survive_the_way_through_json():
    facts = (routing(), execution(), tool_call(), evaluation())
    assert [kind_of(fact) for fact in facts] == ["route", "execution", "tool_call", "evaluation"]
    for fact in facts:
        assert decode_fact(kind_of(fact), msgspec.json.encode(fact)) == fact
    assert facts_of(facts) == msgspec.structs.replace(whole(), task=None)
