"""A rate is of all that is remembered, and of no less than it takes to mean something."""

from __future__ import annotations

import pytest

from collector_processor.app.reporting.history import REMEMBERED, History


def noted(*values: tuple[float, int]) -> History:
    history = History()
    for now, value in values:
        history.note(now, value)
    return history


@pytest.mark.parametrize("history", [noted(), noted((7.0, 3)), noted((7.0, 3), (11.9, 4))])
def test_too_little_is_no_rate(history: History) -> None:
    assert history.rate(5.0) is None


@pytest.mark.parametrize(("last", "rate"), [(30, 2.0), (10, 0.0), (0, -1.0)])
def test_first_to_last(last: int, rate: float) -> None:
    assert noted((100.0, 10), (103.0, 99), (110.0, last)).rate(5.0) == rate


def test_what_was_long_ago_is_forgotten() -> None:
    history = noted((0.0, 0), *((float(now), 1000 + now) for now in range(1, REMEMBERED + 1)))
    assert history.rate(5.0) == 1.0
