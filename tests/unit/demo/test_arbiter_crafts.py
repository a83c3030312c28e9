"""Every craft: the problems are real, the truth can tell right from wrong, and the agents differ in skill."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

import pytest

from collector_processor.demo.arbiter.agents import Agent
from collector_processor.demo.arbiter.crafts import lookup, palette, schedule, tables
from collector_processor.demo.arbiter.crafts.catalogue import COLLECT, PROBLEMS, SIGN, TRANSPOSE, Problem
from collector_processor.demo.arbiter.crafts.repair import (
    SOURCE,
    Repair,
    possible_edits,
    run_tests,
    run_tests_isolated,
    without_function,
)
from collector_processor.demo.arbiter.crafts.repair import (
    test_names as names_of_tests,
)
from collector_processor.demo.arbiter.model import Assignment, Outcome, Task
from collector_processor.demo.arbiter.service import Arbiter
from collector_processor.demo.arbiter.staff import ANALYST, MENDER, REWRITER, SPRINTER

BEYOND_WORDS = (COLLECT, TRANSPOSE)
BY_NAME = [pytest.param(problem, id=problem.name) for problem in PROBLEMS]


@pytest.fixture
def outcome_of(make_arbiter: Callable[..., Arbiter]) -> Callable[..., Outcome]:
    def work(agent: Agent, kind: str, assignment: Assignment, complexity: str = "standard") -> Outcome:
        return make_arbiter(agent).handle(Task("task-1", kind, complexity, "a problem", assignment))

    return work


def true_share(outcome: Outcome) -> float:
    return outcome.task.assignment.check(outcome.changes.after)


class TestRepair:
    @pytest.mark.parametrize("problem", BY_NAME)
    def test_bugs_are_shown_by_tests_the_same_way_in_both_interpreters(self, problem: Problem) -> None:
        here = run_tests(problem.source, problem.tests)
        assert 0 <= here.share < 1
        assert run_tests_isolated(problem.source, problem.tests) == here

    @pytest.mark.parametrize("problem", BY_NAME)
    def test_mender_mends_what_single_words_can(self, problem: Problem, outcome_of: Callable[..., Outcome]) -> None:
        outcome = outcome_of(MENDER, "code-editing", Repair(problem), problem.complexity)
        assert outcome.result.success == (problem not in BEYOND_WORDS)
        assert (true_share(outcome) == 1.0) == outcome.result.success

    def test_failing_repairs_are_taken_back(self, outcome_of: Callable[..., Outcome]) -> None:
        outcome = outcome_of(MENDER, "code-editing", Repair(TRANSPOSE))
        assert outcome.changes.touched() == []
        assert "tests still fail" in str(outcome.result.failure_reason)

    def test_sprinter_gives_up_early(self, outcome_of: Callable[..., Outcome]) -> None:
        mended = [
            outcome_of(SPRINTER, "code-editing", Repair(problem), problem.complexity).result.success
            for problem in PROBLEMS
        ]
        assert 0 < sum(mended) < len(PROBLEMS) / 2

    def test_rewriter_bends_tests_when_out_of_patience(self, outcome_of: Callable[..., Outcome]) -> None:
        outcome = outcome_of(REWRITER, "code-editing", Repair(COLLECT))
        assert outcome.result.success, "by its own account"
        assert true_share(outcome) == 0.5
        assert outcome.evaluation is not None
        assert outcome.evaluation.rubric.safety < 0.5
        assert not outcome.evaluation.caws_compliant

    def test_a_source_that_cannot_be_read_fails_every_test(self) -> None:
        for verdicts in (run_tests("def (", SIGN.tests), run_tests_isolated("def (", SIGN.tests)):
            assert verdicts.passed == 0
            assert set(verdicts.by_test) == set(names_of_tests(SIGN.tests))

    def test_no_tests_prove_nothing(self) -> None:
        assert run_tests(SIGN.source, "").share == 0

    def test_edits_change_one_word(self) -> None:
        edits = list(possible_edits(SIGN.source, "full"))
        assert {edit.line for edit in edits} == {3}
        for edit in edits:
            changed = edit.applied(SIGN.source)
            assert changed != SIGN.source
            assert len(changed.splitlines()) == len(SIGN.source.splitlines())

    def test_a_function_can_be_left_out(self) -> None:
        assert names_of_tests(without_function(SIGN.tests, "test_zero")) == ("test_positive", "test_negative")

    def test_truth_uses_the_original_tests(self) -> None:
        assignment = Repair(SIGN)
        assert assignment.check({SOURCE: SIGN.source, "test_subject.py": ""}) == pytest.approx(2 / 3)


class TestResearch:
    def test_library_is_the_standard_documentation(self) -> None:
        assert "statistics.median" in lookup.library()
        assert "statistics.median" in lookup.index()["median"]

    def test_check(self) -> None:
        question = lookup.Lookup("statistics.median", ("middle",))
        assert question.check({"answer.json": '{"document": "statistics.median"}'}) == 1
        assert question.check({"answer.json": '{"document": "statistics.mean"}'}) == 0.6
        assert question.check({"answer.json": '{"document": "csv.reader"}'}) == 0
        for unusable in ("", "[]", "none"):
            assert question.check({"answer.json": unusable}) == 0
        assert question.check({}) == 0

    def test_reading_all_words_finds_more_than_reading_two(self, outcome_of: Callable[..., Outcome]) -> None:
        questions = [lookup.draw_lookup("complex", Random(seed)) for seed in range(12)]
        thorough, hasty = (
            sum(true_share(outcome_of(agent, "research", question)) for question in questions)
            for agent in (ANALYST, SPRINTER)
        )
        assert thorough > hasty


class TestTables:
    def test_check_allows_small_errors(self) -> None:
        table = "order,region,amount\n1,north,10\n1,north,10\n2,north,n/a\n3,south,20\n"
        summary = tables.Summary(table, "region", "amount", "total")
        assert summary.check({"answer.json": '{"north": 10, "south": 20}'}) == 1
        assert summary.check({"answer.json": '{"north": 11, "south": 20}'}) == pytest.approx(0.75)
        assert summary.check({"answer.json": '{"north": 20, "south": 20}'}) == 0.5
        for unusable in ('{"north": 10}', "", "[]", '{"north": "x", "south": null}'):
            assert summary.check({"answer.json": unusable}) == 0

    def test_cleaning_is_worth_it(self, outcome_of: Callable[..., Outcome]) -> None:
        summaries = [tables.draw_summary("complex", Random(seed)) for seed in range(8)]
        scores = {
            agent.id: sum(true_share(outcome_of(agent, "data-analysis", one)) for one in summaries) / 8
            for agent in (ANALYST, MENDER, SPRINTER)
        }
        assert scores["analyst"] == pytest.approx(1)
        assert scores["analyst"] > scores["mender"] > scores["sprinter"]

    def test_sprinter_admits_an_estimate(self, outcome_of: Callable[..., Outcome]) -> None:
        result = outcome_of(SPRINTER, "data-analysis", tables.draw_summary("trivial", Random(1))).result
        assert (result.success, result.partial_success) == (False, True)


class TestPalette:
    def test_contrast_is_that_of_wcag(self) -> None:
        assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)
        assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
        assert palette.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)

    def test_bisecting_stays_closer_than_extremes_and_one_step_is_too_little(
        self, outcome_of: Callable[..., Outcome]
    ) -> None:
        briefs = [palette.draw_palette("standard", Random(seed)) for seed in range(8)]
        scores = {
            agent.id: sum(true_share(outcome_of(agent, "design", brief)) for brief in briefs) / 8
            for agent in (MENDER, REWRITER, SPRINTER)
        }
        assert scores["mender"] > 0.95
        assert scores["mender"] > scores["rewriter"] > scores["sprinter"]

    @pytest.mark.parametrize("answer", ["", "[]", '["#000000"]', '["black", "white"]'])
    def test_unusable_answers_score_nothing(self, answer: str) -> None:
        brief = palette.Palette("#ffffff", ("#dddddd", "#eeeeee"))
        assert brief.check({"palette.json": answer}) == 0


class TestSchedule:
    jobs = schedule.Schedule(
        {"paint": ["build"], "build": [], "clean": ["paint"], "order": []},
        {"paint": 2, "build": 3, "clean": 1, "order": 6},
    )

    def test_makespan_uses_both_workers(self) -> None:
        order = ["build", "order", "paint", "clean"]
        assert schedule.makespan(order, self.jobs.prerequisites, self.jobs.durations) == 6

    @pytest.mark.parametrize(
        ("order", "reason"),
        [(["paint", "build", "clean", "order"], "before its prerequisite build"), (["build"], "every job once")],
    )
    def test_impossible_plans_are_refused(self, order: list[str], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            schedule.makespan(order, self.jobs.prerequisites, self.jobs.durations)
        assert self.jobs.check({"plan.json": json.dumps(order)}) == 0

    def test_random_orders_respect_prerequisites(self) -> None:
        drawn = schedule.draw_schedule("complex", Random(4))
        for seed in range(20):
            order = schedule.random_order(drawn.prerequisites, Random(seed))
            assert schedule.makespan(order, drawn.prerequisites, drawn.durations) > 0

    def test_planners_ask_for_durations_as_a_task_of_its_own(self, make_arbiter: Callable[..., Arbiter]) -> None:
        arbiter = make_arbiter(ANALYST)
        drawn = schedule.draw_schedule("complex", Random(4))
        outcome = arbiter.handle(Task("task-1", "planning", "complex", "jobs", drawn))
        assert arbiter.handled == 2
        assert true_share(outcome) > 0.8
