"""A database that answers slowly is asked seldom."""

from __future__ import annotations

import pytest

from collector_processor.app.reporting.pace import Pace


def answered(now: float, *, took: float) -> Pace:
    pace = Pace()
    pace.answered(now, took)
    return pace


def test_at_first_it_may_be_asked():
    assert Pace().may_watch(0.0)
    assert Pace().may_question(0.0)


def test_unasked_it_rests_fifty_times_as_long_as_it_took():
    pace = answered(100.2, took=0.2)
    assert not pace.may_watch(110.1)
    assert pace.may_watch(110.3)


def test_a_quick_one_may_be_asked_at_each_question():
    assert answered(100.4, took=0.4).may_question(100.4)


@pytest.mark.parametrize(("took", "rest"), [(0.6, 6.0), (1.5, 15.0), (60.0, 15.0)])
def test_a_slow_one_rests_between_questions_but_not_for_long(took, rest):
    pace = answered(100.0, took=took)
    assert not pace.may_question(100.0 + rest - 0.1)
    assert pace.may_question(100.0 + rest + 0.1)


def test_one_that_was_given_up_rests_as_long_as_before():
    pace = answered(100.0, took=1.0)
    pace.given_up(200.0)
    assert not pace.may_question(209.9)
    assert pace.may_question(210.1)
    assert not pace.may_watch(249.9)
    assert pace.may_watch(250.1)
