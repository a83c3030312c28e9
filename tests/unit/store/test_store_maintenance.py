"""Which stretches of time are refreshed, and up to where records may go."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

from collector_processor.store.maintenance import Chunk, midnight, outside, ranges

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
START = datetime(2026, 11, 1, tzinfo=UTC)


def test_neighbours_are_joined() -> None:
    hours = [START + n * HOUR for n in (0, 1, 4, 6, 7, 8)]
    assert list(ranges(hours, HOUR)) == [
        (START, START + 2 * HOUR),
        (START + 4 * HOUR, START + 5 * HOUR),
        (START + 6 * HOUR, START + 9 * HOUR),
    ]
    assert list(ranges([], HOUR)) == []


def test_a_day_is_one_of_utc() -> None:
    assert midnight(datetime(2026, 11, 2, 1, 30, tzinfo=timezone(2 * HOUR))) == START


def chunks(*bounds: int) -> list[Chunk]:
    """Chunks between these days."""
    return [
        Chunk(f"chunk_{since}", START + since * DAY, START + until * DAY) for since, until in itertools.pairwise(bounds)
    ]


def test_no_chunk_is_cut() -> None:
    """As after the interval was changed from a day to a week, and once more to five hours."""
    assert outside(START + 3 * DAY, chunks(0, 1, 2, 3, 4)) == START + 3 * DAY
    assert outside(START + 8 * DAY, chunks(0, 1, 2, 9)) == START + 2 * DAY
    small = [Chunk(str(n), START + n * 5 * HOUR, START + (n + 1) * 5 * HOUR) for n in range(40)]
    assert outside(START + 7 * DAY, small) == START + 5 * DAY
    assert outside(START + 7 * DAY, []) == START + 7 * DAY
