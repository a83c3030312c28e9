"""The hour's requests to a model: granted, given back, remembered."""

from __future__ import annotations

from collector_processor.analyse.budget import MINUTE, Budget

START = 29_000_000 * MINUTE


def at(minutes: float) -> int:
    return START + int(minutes * MINUTE)


def test_a_budget_is_of_any_hour():
    budget = Budget(10)
    assert budget.grant(7, at(0)) == 7
    assert budget.grant(7, at(30)) == 3
    assert budget.grant(7, at(60.9)) == 0
    assert budget.grant(7, at(61)) == 7
    assert budget.left(at(62)) == 0


def test_what_was_not_used_comes_back():
    budget = Budget(10)
    budget.grant(8, at(0))
    budget.give_back(5, at(0))
    assert budget.left(at(1)) == 7


def test_what_comes_back_too_late_frees_nothing_of_others():
    budget = Budget(10)
    budget.grant(8, at(0))
    assert budget.grant(10, at(61)) == 10
    budget.give_back(8, at(0))
    assert budget.left(at(61)) == 0


def test_another_budget_goes_on_with_what_was_booked():
    budget = Budget(10)
    budget.grant(4, at(0))
    budget.grant(4, at(30))
    after = Budget(10, budget.booked)
    assert after.left(at(31)) == 2
    assert after.left(at(61)) == 6


def test_it_stays_small():
    budget = Budget(1_000_000)
    for minute in range(1_000):
        budget.grant(3, at(minute))
    assert len(budget.booked) <= 62
    assert budget.left(at(1_000)) == 1_000_000 - 60 * 3


def test_a_clock_that_was_set_back_neither_frees_nor_keeps_for_ever():
    budget = Budget(10)
    budget.grant(10, at(100_000))
    assert budget.left(at(0)) == 0
    assert budget.left(at(60)) == 0
    assert budget.left(at(61)) == 10
