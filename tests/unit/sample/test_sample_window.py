"""Windows: what was counted sets the thresholds of the next one, within bounds; and the hard cap."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sampled import config

from collector_processor.model.sampling import (
    MAX_SEEN,
    MAX_STRATA,
    Admitted,
    Facet,
    SamplingMemory,
    SamplingState,
    Spent,
    Tally,
)
from collector_processor.sample import admit, advance, total
from collector_processor.sample.policies import HOUR
from collector_processor.sample.window import MAX_RUNNING

START = 1_800_000_000 * 10**9
CONFIG = config(
    """
    [[judge]]
    name = "rate"
    per_hour = 50
    [[judge]]
    name = "calls"
    calls_per_hour = 300
    [[ast]]
    name = "bytes"
    bytes_per_hour = 1_000_000
    at_most = 0.5
    [[ast]]
    name = "rare"
    each_stratum_per_hour = 4
    [[ast]]
    name = "new"
    when.any = [{ first.agent = 20 }, { first.tool = 5 }]
    always = true
    [cost.ast]
    bytes = 10_000
    """
)
BEGUN = advance(SamplingMemory(), [], CONFIG, START)


def over(*tallies: Tally, memory: SamplingMemory = BEGUN, now: int = START + HOUR) -> SamplingMemory:
    return advance(memory, tallies, CONFIG, now)


def test_nothing_changes_before_the_window_is_over():
    memory = over(Tally(tasks=5, matched={"judge/rate": 5}, strata={7: 5}), now=START + HOUR - 1)
    assert memory.state == SamplingState()
    assert memory.running.matched == {"judge/rate": 5}
    assert memory.since == START


def test_what_the_window_saw_sets_the_thresholds_of_the_next():
    spent = {Facet.JUDGE: Spent(10, 50_000, 30)}
    memory = over(
        Tally(60, matched={"judge/rate": 60, "judge/calls": 60}, spent=spent, strata={7: 39, 8: 4}),
        Tally(40, matched={"judge/rate": 39, "judge/calls": 139, "ast/bytes": 999}, strata={7: 1, 9: 5}),
    )
    assert memory.state.thresholds == {
        "judge/rate": 50 / 100,
        "judge/calls": pytest.approx(300 / (3 * 200)),
        "ast/bytes": pytest.approx(1_000_000 / (10_000 * 1000)),
    }
    assert (memory.state.hours, memory.state.strata, memory.state.rest) == (1.0, {7: 40, 9: 5}, 0)
    assert (memory.running, memory.since) == (Tally(), START + HOUR)
    assert memory.costs == spent


def test_what_analyses_cost_is_remembered_until_others_have_ended():
    first = over(Tally(spent={Facet.AST: Spent(2, 200_000, 0)}, matched={"ast/bytes": 99}))
    second = over(Tally(matched={"ast/bytes": 99}), memory=first, now=START + 2 * HOUR)
    assert first.state.thresholds == second.state.thresholds
    assert second.state.thresholds["ast/bytes"] == pytest.approx(1_000_000 / (100_000 * 100))


def test_a_threshold_is_never_above_what_the_policy_may_reach():
    assert over().state.thresholds == {"judge/rate": 1.0, "judge/calls": 1.0, "ast/bytes": 0.5}


def test_what_costs_nothing_is_not_held_back():
    memory = over(Tally(matched={"judge/calls": 10_000}, spent={Facet.JUDGE: Spent(10, 50_000, 0)}))
    assert memory.state.thresholds["judge/calls"] == 1.0


def test_rates_follow_the_time_that_passed_up_to_twice_the_window():
    seen = Tally(matched={"judge/rate": 299})
    assert over(seen, now=START + HOUR * 3 // 2).state.thresholds["judge/rate"] == pytest.approx(75 / 300)
    assert over(seen, now=START + 50 * HOUR).state.thresholds["judge/rate"] == pytest.approx(100 / 300)


def test_a_clock_that_was_set_back_begins_the_window_anew():
    memory = over(Tally(tasks=1), now=START - HOUR)
    assert (memory.since, memory.running.tasks) == (START - HOUR, 1)


def test_first_tasks_count_at_once_and_no_further_than_asked():
    memory = over(Tally(seen={1: 15, 2: 1}), now=START + 1)
    assert memory.state.seen == {1: 15, 2: 1}
    memory = over(Tally(seen={1: 15}), memory=memory, now=START + 2)
    assert memory.state.seen == {1: 20, 2: 1}
    assert over(memory=memory).state.seen == {1: 20, 2: 1}, "the end of a window forgets nobody"
    assert advance(memory, [Tally(seen={3: 1})], config(""), START + 3).state.seen == {}


def test_everything_is_bounded():
    memory = BEGUN
    for batch in range(20):
        names = range(batch * 1000, batch * 1000 + 1000)
        crowd = Tally(tasks=1000, strata=dict.fromkeys(names, 5 + batch), seen=dict.fromkeys(names, 1))
        memory = over(crowd, memory=memory, now=START + batch)
    assert len(memory.running.strata) <= MAX_RUNNING
    memory = over(memory=memory)
    assert len(memory.state.seen) == MAX_SEEN
    assert len(memory.state.strata) == MAX_STRATA
    assert memory.state.rest >= max(memory.state.strata.values()) - 1, "what has no place may have had as many"
    assert len(msgspec.msgpack.encode(memory.state)) < 20_000


COUNTS = st.dictionaries(st.integers(0, 5), st.integers(1, 9), max_size=4)
KEYS = st.dictionaries(st.sampled_from(["judge/rate", "ast/bytes"]), st.integers(1, 9))
SPENT = st.dictionaries(
    st.sampled_from(Facet), st.builds(Spent, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
)
KEPT = st.dictionaries(st.sampled_from(Facet), st.integers(1, 9))
TALLIES = st.lists(st.builds(Tally, st.integers(0, 9), KEPT, KEYS, COUNTS, COUNTS, SPENT), max_size=6)


@given(TALLIES, st.randoms())
def test_tallies_add_up_in_any_order_and_portions(tallies: list[Tally], random):
    shuffled = random.sample(tallies, len(tallies))
    cut = random.randint(0, len(tallies))
    assert total([total(shuffled[:cut]), total(shuffled[cut:])]) == total(tallies)
    one = over(*tallies)
    part = over(*shuffled[:cut], now=START + 1)
    assert over(*shuffled[cut:], memory=part).state == one.state


@given(TALLIES)
def test_memory_survives_being_written_and_read(tallies: list[Tally]):
    memory = over(*tallies)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=SamplingMemory) == memory
    tally = total(tallies)
    assert msgspec.json.decode(msgspec.json.encode(tally), type=Tally) == tally


# -- Hard cap ----------------------------------------------------------------------------------------------


@given(st.integers(0, 5), st.lists(st.integers(0, 30 * 60), max_size=60))
def test_no_hour_has_more_analyses_than_the_cap(cap: int, waits: list[int]):
    now, admitted, times = START, Admitted(), []
    for wait in waits:
        now += wait * 10**9
        after = admit(admitted, Facet.JUDGE, {Facet.JUDGE: cap}, now)
        if after is not None:
            admitted = after
            times.append(now)
    for index, first in enumerate(times):
        assert sum(first <= each <= first + HOUR for each in times[index:]) <= cap
    assert len(admitted.minutes.get(Facet.JUDGE, {})) <= 61


def test_a_cap_is_used_up_to_the_last_and_is_free_again_after_an_hour():
    caps = {Facet.JUDGE: 2}
    first = admit(Admitted(), Facet.JUDGE, caps, START)
    assert first is not None
    admitted = admit(first, Facet.JUDGE, caps, START)
    assert admitted is not None
    assert admit(admitted, Facet.JUDGE, caps, START + HOUR) is None
    assert admit(admitted, Facet.JUDGE, caps, START + HOUR + 60 * 10**9) is not None
    assert admit(admitted, Facet.AST, caps, START) is admitted, "a facet without a cap is not counted"
