"""Dead letters in the journal: what they hold, how many there may be, and what a person can do about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from support.running_front import RunningFront
from support.spans import Piece

from collector_processor.app.commands.dead_letters import DeadLetters, Letter
from collector_processor.app.journalling.sealing import Waiting
from collector_processor.app.outage import Outage
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.pipeline import Pipeline
from collector_processor.convert import FoldSettings
from collector_processor.errors import ControlError, DeadLettersFullError
from collector_processor.guard import GateSettings, Protector
from collector_processor.model.stages import Applied, Refused

WHY = "the database will not take it"


class Running(RunningFront):
    """A front, and the letters of its journal."""

    def begin(self) -> None:
        super().begin()
        self.fallback = Fallback(self.settings, self.front, Outage(3, 2.0))
        self.letters = DeadLetters(self.front, self.fallback, self.waiting.extend)

    def seal(self, *pieces: Piece) -> Waiting:
        """Send spans; when their tasks are closed and sealed, the batch."""
        self.send(*pieces)
        self.wait(11)
        return self.waiting.pop()

    def bury(self, *pieces: Piece) -> list[Letter]:
        """Have the database refuse the tasks that these spans are, all of them of one batch."""
        batch = self.seal(*pieces)
        refused = tuple(Refused(each.trace_id, each.span_id, 1, WHY) for each in pieces if each.kind == "task")
        spans = batch.spans - len(refused)
        self.run(self.front.complete(batch.id, Applied(in_points=spans, refused=refused)))
        return self.run(self.letters.listed(100))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running.over(tmp_path) as running:
        yield running


def task(number: int) -> Piece:
    return Piece(1, number, 99, "task", f"task-{number}")


def span_ids(payload: bytes) -> list[int]:
    return [
        int.from_bytes(span.span_id, "big")
        for resource in TracesData.FromString(payload).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_a_letter_holds_its_own_spans_and_no_others(running: Running) -> None:
    letters = running.bury(task(1), task(2))
    assert sorted(letter.error for letter in letters) == [WHY, WHY]
    opened = [running.run(running.letters.opened(letter.id)) for letter in letters]
    assert sorted(span_ids(payload) for each in opened for payload in each.payloads) == [[1], [2]]
    running.assert_balanced()


def test_a_retry_is_a_new_seal_with_the_same_spans(running: Running) -> None:
    letters = running.bury(task(1), task(2))
    again = next(letter for letter in letters if letter.span_id == task(2).span_id.hex())
    assert running.run(running.letters.retry([again.id])) == 1
    (batch,) = running.waiting
    running.assert_balanced()
    assert running.front.counters.sealed == 1
    (raw,) = running.tasks()
    ((_, payload, positions),) = raw.payloads
    assert [span_ids(payload)[at] for at in positions] == [2]
    pipeline = Pipeline(Protector(None, None), FoldSettings(), GateSettings())
    (converted,) = pipeline.prepare(batch.id, [raw]).tasks
    assert converted.facts is not None
    assert converted.facts.task is not None
    assert converted.facts.task.task_id == "task-2"
    assert [waiting.id for waiting in running.waiting] == [batch.id]
    running.run(running.front.complete(batch.id, Applied(in_points=1, accepted=1)))
    running.assert_balanced()
    assert [letter.span_id for letter in running.run(running.letters.listed(9))] == [task(1).span_id.hex()]


def test_a_retry_beside_an_undecodable_span_survives_a_restart(running: Running) -> None:
    whole, spoiled = task(1), Piece(1, 2, 1, "tool")
    running.send(whole)
    batch = running.seal(spoiled)
    refused = Refused(whole.trace_id, whole.span_id, 1, WHY)
    raw = (spoiled.trace_id, spoiled.span_id, b"its bytes", "no UTF-8")
    running.run(running.front.complete(batch.id, Applied(undecodable=1, refused=(refused,), undecodable_spans=(raw,))))
    (letter,) = running.run(running.letters.listed(9))
    assert (letter.spans, letter.retriable) == (1, True)
    running.run(running.letters.retry([letter.id]))
    running.end()
    running.begin()
    assert [batch.spans for batch in running.waiting] == [1]
    assert running.run(running.front.snapshot()).summary.traces == 0
    running.complete(Applied(in_points=1, accepted=1))
    assert running.ask(lambda transaction: [*transaction.fragments()]) == []


def test_without_ids_all_are_retried(running: Running) -> None:
    running.bury(*(task(number) for number in range(1, 46)))
    assert running.run(running.letters.retry([])) == 45
    assert len(running.waiting) == 45
    assert running.run(running.letters.listed(9)) == []
    running.assert_balanced()


def test_what_is_refused_again_is_a_letter_again(running: Running) -> None:
    (letter,) = running.bury(task(1))
    running.run(running.letters.retry([letter.id]))
    batch = running.waiting.pop()
    running.run(running.front.bury(batch.id, "again"))
    (second,) = running.run(running.letters.listed(9))
    assert (second.error, second.retriable, second.spans) == ("again", True, 1)
    running.assert_balanced()


def test_what_is_discarded_is_gone_and_counted(running: Running) -> None:
    letter, other = running.bury(task(1), task(2))
    assert running.run(running.letters.discard([letter.id], author="ann", reason="a test")) == 1
    assert running.run(running.letters.listed(9)) == [other]
    counters = running.front.counters
    assert (counters.dead, counters.given_up, counters.tasks_given_up) == (1, 1, 1)
    running.assert_balanced()


@pytest.mark.parametrize("id_", ["", "no id", "00.0", f"{'0' * 32}.0", f"{'0' * 32}.-1", f"{'0' * 32}.99999999999"])
def test_a_letter_that_is_not_there_is_named(running: Running, id_: str) -> None:
    running.bury(task(1))
    for asked in (
        running.letters.opened(id_),
        running.letters.retry([id_]),
        running.letters.discard([id_], author="ann", reason=""),
    ):
        with pytest.raises(ControlError, match="there is no dead letter"):
            running.run(asked)


def test_where_there_is_no_room_the_batch_stays_sealed_until_there_is(tmp_path: Path) -> None:
    with Running.over(tmp_path, journal_max_bytes=1 << 20, dead_letter_share=0.05) as running:
        buried = []
        with pytest.raises(DeadLettersFullError, match="retry or discard"):  # noqa: PT012  # which one is too many
            for number in range(1, 1000):
                buried = running.bury(task(number))
        assert buried
        assert running.front.counters.sealed == 1
        running.assert_balanced()
        running.run(running.front.stop())
        running.begin()
        (batch,) = running.waiting
        while running.front.counters.dead:
            running.run(running.letters.discard([running.run(running.letters.listed(1))[0].id], author="a", reason="b"))
        running.run(running.front.bury(batch.id, WHY))
        assert (running.front.counters.sealed, running.front.counters.dead) == (0, 1)


def test_a_batch_is_halved_down_to_single_tasks(running: Running) -> None:
    waiting = [running.seal(*(task(number) for number in range(1, 6)))]
    sizes = []
    while waiting:
        batch = waiting.pop()
        halves = running.run(running.front.halve(batch.id))
        assert sum(half.spans for half in halves) == (batch.spans if halves else 0)
        waiting += halves
        sizes.append((batch.tasks, [half.tasks for half in halves]))
    assert sorted(sizes) == [(1, [])] * 5 + [(2, [1, 1])] * 2 + [(3, [1, 2]), (5, [2, 3])]
    running.assert_balanced()
    assert running.run(running.front.halve(batch.id)) == []
