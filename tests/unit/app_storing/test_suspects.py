"""When a batch is tried again, halved or buried, and how long the store is waited for."""

from __future__ import annotations

from uuid import uuid4

import pytest

from collector_processor.app.outage import JITTER, Outage
from collector_processor.app.storing.suspects import TRIES, Sentence, Suspects


def test_a_batch_is_halved_after_its_tries_and_a_half_at_once() -> None:
    suspects, batch, half, other = Suspects(), uuid4(), uuid4(), uuid4()
    assert [suspects.blame(batch, 8) for _ in range(TRIES)] == [Sentence.AGAIN] * (TRIES - 1) + [Sentence.HALVE]
    suspects.halved(batch, half, other)
    assert suspects.blame(half, 4) is Sentence.HALVE
    assert suspects.failures(batch) == 0


def test_a_single_task_has_its_tries_before_it_is_buried() -> None:
    suspects, half = Suspects(), uuid4()
    suspects.halved(uuid4(), half)
    assert [suspects.blame(half, 1) for _ in range(TRIES)] == [Sentence.AGAIN] * (TRIES - 1) + [Sentence.BURY]


def test_what_was_stored_is_suspected_no_more() -> None:
    suspects, batch = Suspects(), uuid4()
    for _ in range(10):
        assert suspects.blame(batch, 1) is Sentence.AGAIN
        suspects.forget(batch)


def test_what_the_database_is_slow_for_is_blamed_only_where_others_were_stored_since() -> None:
    suspects, batch = Suspects(), uuid4()
    assert not suspects.is_slow_alone(batch)
    assert not suspects.is_slow_alone(batch)
    suspects.stored()
    assert suspects.is_slow_alone(batch)
    assert not suspects.is_slow_alone(batch)
    suspects.stored()
    suspects.forget(batch)
    assert not suspects.is_slow_alone(batch)


@pytest.mark.parametrize(("attempts", "pauses"), [(3, [2, 4, 4, 4]), (1, [2, 2, 2, 2]), (5, [2, 4, 8, 16, 16])])
def test_pauses_double_up_to_the_last_attempt(attempts: int, pauses: list[int]) -> None:
    outage = Outage(attempts, 2.0)
    for tries, pause in enumerate(pauses, start=1):
        assert outage.failed("no answer", tries) == pytest.approx(pause, rel=JITTER)
        assert outage.down == (tries >= attempts)
    told = outage.told(7)
    assert told is not None
    assert told.startswith("database: down since 20")
    assert told.endswith(", 7 batches wait: no answer")
    outage.ended()
    assert (outage.told(7), outage.down) == (None, False)


def test_pauses_are_not_all_alike() -> None:
    outage = Outage(3, 2.0)
    assert len({outage.failed("no answer", 1) for _ in range(20)}) > 1
