"""Times in wire form."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.model.times import is_possible, milliseconds_between, to_nanoseconds, to_text

NANOSECONDS = st.integers(0, 2**64 - 1)


@given(NANOSECONDS)
def test_a_time_is_read_as_it_was_written(time: int) -> None:
    text = to_text(time)
    assert to_nanoseconds(text) == time
    assert len(text) == len("2026-11-22T12:00:00.123456789Z")
    assert datetime.fromisoformat(text).tzinfo == UTC


@given(NANOSECONDS, NANOSECONDS)
def test_times_sort_as_text(one: int, other: int) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)


@given(NANOSECONDS, st.integers(-(10**13), 10**13))
def test_a_duration_is_the_difference(start: int, length: int) -> None:
    end = min(max(start + length, 0), 2**64 - 1)
    assert milliseconds_between(to_text(start), to_text(end)) == (end - start) / 1e6


def test_the_epoch_and_the_last_second() -> None:
    assert to_text(0) == "1970-01-01T00:00:00.000000000Z"
    assert to_text(2**64 - 1) == "2554-07-21T23:34:33.709551615Z"


@pytest.mark.parametrize(
    ("time", "possible"),
    [
        ("1999-12-31T23:59:59.999999999Z", False),
        ("2000-01-01T00:00:00.000000000Z", True),
        ("2025-11-23T12:00:00.000000000Z", True),
        ("2025-11-23T12:00:00.000000001Z", False),
        ("2554-07-21T23:34:33.709551615Z", False),
    ],
)
def test_possible_times(time: str, possible: bool) -> None:
    assert is_possible(time, "2025-11-22T12:00:00.000000000Z") is possible
