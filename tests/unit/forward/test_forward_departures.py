"""Which foreign spans the front hands on as they leave the journal: those of traces with tasks, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.running_front import RunningFront
from support.spans import Piece

from collector_processor.app.journalling import sealing
from collector_processor.model.otlp import entries_of
from collector_processor.model.stages import Applied


class Running(RunningFront):
    """What is sealed is stored at once."""

    def wait(self, seconds: int, then: int = 1) -> None:
        super().wait(seconds, then)
        while self.waiting:
            self.run(self.front.complete(self.waiting.pop().id, Applied(in_points=1, accepted=1)))

    def ids(self) -> list[int]:
        """Span ids of what has departed, in order."""
        found = [raw for each in self.departed for _, raw in entries_of(each.payload, each.positions)]
        return sorted(int.from_bytes(raw[raw.index(b"\x12\x08") + 2 :][:8], "big") for raw in found)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running.over(tmp_path) as running:
        yield running


def test_what_stands_beside_a_task_departs_once(running):
    running.send(Piece(1, 90, 0, "foreign"), Piece(1, 1, 90, "task"), Piece(1, 2, 1, "foreign"))
    running.send(Piece(1, 91, 90, "foreign"))
    running.wait(20)
    assert running.ids() == [], "the task's own went with it, the others wait for more of the trace"
    running.wait(700)
    assert running.ids() == [90, 91]
    running.wait(10_000)
    assert running.ids() == [90, 91]


def test_a_trace_without_tasks_is_nobodys(running):
    running.send(Piece(1, 90, 0, "foreign"), Piece(1, 91, 90, "foreign"))
    running.wait(10_000)
    assert running.departed == []
    assert running.front.counters.foreign == 2


def test_what_a_limit_shed_does_not_depart(tmp_path):
    with Running.over(tmp_path, max_task_spans=2) as running:
        running.send(Piece(1, 1, 0, "task"), *(Piece(1, number, 1, "foreign") for number in range(2, 9)))
        running.wait(20)
        assert running.front.counters.truncated == 6
        assert running.departed == []


def test_what_there_was_no_room_for_is_told_empty(running, monkeypatch):
    monkeypatch.setattr(sealing, "MAX_DEPARTING_BYTES", 1)
    running.send(Piece(1, 90, 0, "foreign"), Piece(1, 1, 90, "task"))
    running.send(Piece(1, 91, 90, "foreign"))
    running.wait(20)
    running.wait(700)
    assert running.ids() == [90]
    assert [len(each.positions) for each in running.departed if not each.payload] == [1]
