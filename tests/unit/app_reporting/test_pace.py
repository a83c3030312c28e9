"""A database that answers slowly is asked seldom."""

from __future__ import annotations

import pytest

from collector_processor.app.reporting.pace import Pace


def answered(*, began: float, at: float) -> Pace:
    pace = Pace()
    pace.note(began, at)
    return pace


def test_at_first_it_may_be_asked():
    assert Pace().may_watch(0.0)
    assert Pace().may_question(0.0)


def test_unasked_it_rests_fifty_times_as_long_as_it_took():
    pace = answered(began=100.0, at=100.2)
    assert not pace.may_watch(110.1)
    assert pace.may_watch(110.3)


def test_a_quick_one_may_be_asked_at_each_question():
    assert answered(began=100.0, at=100.4).may_question(100.4)


@pytest.mark.parametrize(("took", "rest"), [(0.6, 6.0), (1.5, 15.0), (60.0, 15.0)])
def test_a_slow_one_rests_between_questions_but_not_for_long(took, rest):
    pace = answered(began=100.0 - took, at=100.0)
    assert not pace.may_question(100.0 + rest - 0.1)
    assert pace.may_question(100.0 + rest + 0.1)
