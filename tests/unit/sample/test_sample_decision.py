"""One number a task against the largest threshold of the policies that match; revisions only add."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sampled import config, copies, identity, kept_before, record

from collector_processor.model.record import FacetSampling, Outcome, point_id
from collector_processor.model.sampling import Facet, SamplingState
from collector_processor.sample import Sampler, default_document, with_decision
from collector_processor.sample.draw import RANGE, Draw, hashed, stratum_of

DEFAULT = config(default_document())
TWO_TERMS = config(
    """
    [[judge]]
    name = "usual"
    probability = 0.1
    [[judge]]
    name = "failures"
    when.rlLabels.finalOutcome = "failure"
    probability = 0.5
    [[ast]]
    name = "all"
    always = true
    """
)
SHARES = st.floats(0.001, 1.0)


def test_a_facet_has_the_largest_threshold_that_matches_and_the_policy_that_has_it():
    sampler = Sampler(TWO_TERMS)
    (ast, judge) = sampler.decide(record(outcome=Outcome.FAILURE)).choices
    assert (judge.probability, judge.policy) == (0.5, "failures")
    assert (ast.probability, ast.policy, ast.kept, ast.added) == (1.0, "all", True, True)
    (_, judge) = sampler.decide(record()).choices
    assert (judge.probability, judge.policy) == (0.1, "usual")


def test_of_equal_thresholds_the_first_policy_takes_it():
    sampler = Sampler(config("[[ast]]\nname='one'\nprobability=0.5\n[[ast]]\nname='two'\nprobability=0.5"))
    assert sampler.decide(record()).choices[0].policy == "one"


def test_a_facet_without_a_policy_that_matches_is_not_even_chosen():
    choices = Sampler(DEFAULT).decide(record()).choices
    assert [each.facet for each in choices] == [Facet.AST, Facet.JUDGE, Facet.REFLECTION]


def test_the_defaults_touch_a_fifth_of_the_tasks_and_stay_within_a_tenth_for_what_is_heavy():
    sampler, count = Sampler(DEFAULT), 100_000
    kept = dict.fromkeys(Facet, 0)
    touched = heavy = 0
    for point in copies(record(complexity="complex"), range(count)):
        facets = sampler.decide(point).added
        touched += bool(facets)
        heavy += bool({Facet.CONVERSATION, Facet.AST, Facet.REFLECTION} & {*facets})
        for facet in facets:
            kept[facet] += 1
    shares = {Facet.CONVERSATION: 0.05, Facet.AST: 0.1, Facet.JUDGE: 0.2, Facet.REFLECTION: 0.1}
    for facet, share in shares.items():
        assert kept[facet] / count == pytest.approx(share, abs=4 * (share * (1 - share) / count) ** 0.5), facet
    assert touched == kept[Facet.JUDGE], "one number decides about all: what has another facet is judged too"
    assert heavy == kept[Facet.AST] == kept[Facet.REFLECTION]


def test_simple_tasks_have_no_conversation():
    sampler = Sampler(DEFAULT)
    assert not any(Facet.CONVERSATION in sampler.decide(each).added for each in copies(record(), range(2000)))


@given(st.integers(0, 2**128 - 1), SHARES, SHARES)
def test_facets_are_nested_by_their_probabilities(number: int, small: float, large: float):
    small, large = sorted((small, large))
    text = f"[[ast]]\nname='a'\nprobability={small!r}\n[[judge]]\nname='b'\nprobability={large!r}"
    added = Sampler(config(text)).decide(record(number)).added
    assert Facet.AST not in added or Facet.JUDGE in added


@given(st.integers(0, 2**128 - 1), st.text(min_size=1))
def test_the_draw_is_a_number_of_56_bits_and_always_the_same(number: int, seed: str):
    drawn = Draw(seed)(identity(number))
    assert 0 <= drawn < RANGE
    assert drawn == Draw(seed)(identity(number))


def test_the_draw_is_pinned():
    """Records that are stored may be revised by any later version: it has to draw the same."""
    assert Draw("otel-benchmark")(identity(1)) == 18_292_305_937_196_210


def test_other_processes_draw_and_hash_the_same():
    code = (
        "from uuid import UUID; from collector_processor.sample.draw import Draw, hashed;"
        "print(Draw('x')(UUID(int=7)), hashed('stratum', 'a', None))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [int(each) for each in told] == [Draw("x")(identity(7)), hashed("stratum", "a", None)]


def test_another_seed_draws_anew():
    first, second = ({n for n in range(10_000) if Draw(seed)(identity(n)) < RANGE // 10} for seed in ("a", "b"))
    assert len(first & second) == pytest.approx(100, abs=40), "a tenth of a tenth"


def test_the_draw_knows_nothing_of_what_a_head_sampler_did():
    """Its randomness is the end of the trace id: among traces that a head sampler keeps, a tenth is a tenth."""
    drawn, rng = Draw("otel-benchmark"), random.Random(1)
    kept: list[bool] = []
    while len(kept) < 10_000:
        trace = rng.randbytes(16)
        if trace[-7] >= 0xE0:
            kept.append(drawn(point_id(trace, trace[:8])) < RANGE // 10)
    assert sum(kept) == pytest.approx(1000, abs=4 * 30)


def test_names_can_not_be_confused():
    assert hashed("ab", "c") != hashed("a", "bc")
    assert hashed("stratum", None, "-") != hashed("stratum", "-", None)


# -- Revisions -------------------------------------------------------------------------------------------


def test_a_kept_sample_stays_with_its_policy_and_the_larger_probability():
    sampler = Sampler(TWO_TERMS)
    before = FacetSampling("judge", 0.1, "usual")
    (_, judge) = sampler.decide(kept_before(record(outcome=Outcome.FAILURE), before)).choices
    assert (judge.kept, judge.added, judge.probability, judge.policy) == (True, False, 0.5, "usual")
    before = FacetSampling("judge", 0.9, "once")
    (_, judge) = sampler.decide(kept_before(record(), before)).choices
    assert (judge.kept, judge.added, judge.probability, judge.policy) == (True, False, 0.9, "once")


def test_a_kept_sample_stays_where_no_policy_matches_any_longer():
    sampler = Sampler(config("[[judge]]\nname='never'\nwhen.task.type='design'\nprobability=0.5"))
    before = FacetSampling("conversation", 0.25, "gone")
    assert sampler.decide(kept_before(record(), before)).kept == (before,)


def test_a_new_outcome_may_add_a_sample():
    sampler = Sampler(TWO_TERMS)
    number = next(n for n in range(1000) if 0.1 * RANGE <= Draw(TWO_TERMS.seed)(identity(n)) < 0.5 * RANGE)
    first = sampler.decide(record(number))
    assert first.added == (Facet.AST,)
    again = sampler.decide(with_decision(record(number, outcome=Outcome.FAILURE), first))
    assert again.added == (Facet.JUDGE,)
    assert again.kept == (FacetSampling("ast", 1.0, "all"), FacetSampling("judge", 0.5, "failures"))


@given(st.integers(0, 10_000), st.lists(SHARES, min_size=1, max_size=6))
def test_over_any_revisions_it_is_kept_where_the_draw_is_below_the_largest_and_that_is_what_is_recorded(
    number: int, thresholds: list[float]
):
    point = record(number)
    largest = 0.0
    kept = False
    for threshold in thresholds:
        sampler = Sampler(config(f"[[judge]]\nname='p'\nprobability={threshold!r}"))
        decision = sampler.decide(point)
        largest = max(largest, threshold)
        assert kept <= bool(decision.kept), "what is kept stays"
        kept = bool(decision.kept)
        assert kept == (Draw("otel-benchmark")(point.id) < largest * RANGE)
        assert [each.inclusion_probability for each in decision.kept] == [largest] * kept
        point = with_decision(point, decision)
    assert with_decision(point, Sampler(config("")).decide(point)) == point


# -- What the state adds ----------------------------------------------------------------------------------


def test_rates_take_their_threshold_from_the_state_and_strata_theirs():
    sampler = Sampler(
        config(
            "[[judge]]\nname='rate'\ncalls_per_hour=10\ninitially=0.3\n[[ast]]\nname='rare'\neach_stratum_per_hour=5"
        )
    )
    point = record()
    ast, judge = sampler.decide(point).choices
    assert (ast.probability, judge.probability, judge.adaptive, ast.adaptive) == (0.1, 0.3, True, False)
    state = SamplingState(thresholds={"judge/rate": 0.01}, hours=2.0, strata={stratum_of(point): 40}, rest=20)
    ast, judge = sampler.decide(point, state).choices
    assert (ast.probability, judge.probability) == (0.25, 0.01)
    (ast, _) = sampler.decide(record(agent="beta"), state).choices
    assert ast.probability == 0.5, "a stratum that is not listed had 20 tasks at most"


def test_a_tally_counts_a_task_once_and_a_revision_for_what_it_newly_matches():
    sampler = Sampler(
        config(
            """
            [[judge]]
            name = "failures"
            when.rlLabels.finalOutcome = "failure"
            per_hour = 10
            [[judge]]
            name = "any"
            per_hour = 10
            [[ast]]
            name = "rare"
            each_stratum_per_hour = 1
            [[ast]]
            name = "new"
            when.any = [{first.agent = 2}, {first.tool = 3}]
            always = true
            """
        )
    )
    first = record(outcome=None)
    state = SamplingState(seen={hashed("agent", "alpha"): 3})
    tally = sampler.tally(first, sampler.decide(first, state), state)
    assert (tally.tasks, tally.matched, tally.strata) == (1, {"judge/any": 1}, {stratum_of(first): 1})
    assert tally.seen == {hashed("tool", "read_file"): 1}, "the agent was seen often enough"
    assert tally.kept[Facet.AST] == 1
    revised = with_decision(record(outcome=Outcome.FAILURE), sampler.decide(first, state))
    tally = sampler.tally(revised, sampler.decide(revised, state), state, earlier=first)
    assert (tally.tasks, tally.matched, tally.seen) == (0, {"judge/failures": 1}, {})
    assert tally.strata == {stratum_of(revised): 1}
    assert Facet.AST not in tally.kept
    again = sampler.tally(revised, sampler.decide(revised, state), state, earlier=revised)
    assert (again.tasks, again.matched, again.strata) == (0, {}, {})


def test_nothing_kept_leaves_the_record_as_it_is():
    point = record()
    assert with_decision(point, Sampler(config("")).decide(point)) is point
