"""Which point a stray belongs to, given where spans are stored and what task ids mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import evaluation, execution, lost, routing, tool_call
from support.store import id_of

from collector_processor.store.joining import assign, parent_of, references

A, B, C, D = (id_of(number) for number in range(1, 5))


def stray(fact):
    [found] = lost(fact).strays
    return found


def name(trace, span):
    return f"{trace:032x}{span:016x}"


LINKED = stray(evaluation(1, 9, parent=3, links=(name(5, 5), name(6, 6))))


@pytest.mark.parametrize(
    ("places", "by_task", "expected"),
    [
        ({name(1, 9): A, name(5, 5): B, name(1, 3): C}, D, A),
        ({name(5, 5): B, name(6, 6): A, name(1, 3): C}, D, B),
        ({name(6, 6): B, name(1, 3): C}, D, B),
        ({name(1, 3): C}, D, C),
        ({}, D, D),
        ({}, None, None),
    ],
)
def test_itself_then_links_then_parent_then_task(places, by_task, expected):
    assert references(LINKED) == (name(1, 9), name(5, 5), name(6, 6), name(1, 3))
    found = assign([LINKED], places, {LINKED.fact.fact_id: by_task} if by_task else {})
    assert found == ({LINKED.fact.fact_id: expected} if expected else {})


def test_a_parent_that_is_a_stray_goes_before_ones_own_task():
    parent, child = stray(execution(1, 9, parent=8)), stray(tool_call(1, 10, parent=9))
    by_task = {parent.fact.fact_id: A, child.fact.fact_id: B}
    assert set(assign([child, parent], {}, by_task).values()) == {A}
    assert assign([child, parent], {}, {child.fact.fact_id: B}) == {child.fact.fact_id: B}


def test_parents_in_a_circle_end():
    one, two = stray(routing(1, 9, parent=10)), stray(routing(1, 10, parent=9))
    assert assign([one, two], {}, {}) == {}
    assert set(assign([one, two], {}, {two.fact.fact_id: A}).values()) == {A}


@given(st.permutations(range(2, 12)), st.sampled_from(range(2, 12)))
def test_a_chain_follows_whatever_the_order(order, known):
    """Span n is the child of n - 1; one of them is known to be in a point: it and all below follow."""
    strays = [stray(tool_call(1, number, parent=number - 1, task_id=None)) for number in order]
    found = assign(strays, {name(1, known): A}, {})
    assert found == {name(1, number): A for number in range(known, 12)}


def test_a_root_has_no_parent():
    assert parent_of(stray(routing(1, 9, parent=None))) == name(1, 0)


def test_a_chain_may_be_as_long_as_a_task_may_have_spans():
    chain = [stray(tool_call(1, number, parent=number - 1)) for number in range(2, 10_001)]
    assert assign(chain[::-1], {}, {}) == {}
    assert set(assign(chain[::-1], {name(1, 2): A}, {}).values()) == {A}
