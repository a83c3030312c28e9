"""Which foreign spans the front hands on as they leave the journal: those of traces with tasks, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.spans import Piece, request

from collector_processor.app.journalling import sealing
from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import SECOND, Waiting
from collector_processor.config import Settings
from collector_processor.forward.messages import spans_of
from collector_processor.model.stages import Applied, Departure, Signal


class Running:
    """A front under a clock in seconds, and what has departed from it."""

    def __init__(self, folder: Path, **settings: int) -> None:
        self.now = 1_760_000_000
        self.loop = asyncio.new_event_loop()
        self.sealed: list[Waiting] = []
        self.departed: list[Departure] = []
        given = Settings(data_dir=folder, flush_interval=0.1, **settings)
        self.front = Front(given, self.sealed.extend, lambda: self.now * SECOND, self.departed.extend)
        self.loop.run_until_complete(self.front.recover())

    def send(self, *pieces: Piece) -> None:
        self.loop.run_until_complete(self.front.accept(request(pieces), Signal.TRACES))

    def wait(self, seconds: int) -> None:
        for pause in (seconds, 1):  # what is closed by the first tick has waited long enough at the second
            self.now += pause
            self.loop.run_until_complete(self.front.tick())
        while self.sealed:
            done = self.front.complete(self.sealed.pop().id, Applied(in_points=1, accepted=1))
            self.loop.run_until_complete(done)

    def ids(self) -> list[int]:
        """Span ids of what has departed, in order."""
        found = [raw for each in self.departed for _, raw in spans_of(each.payload, each.positions)]
        return sorted(int.from_bytes(raw[raw.index(b"\x12\x08") + 2 :][:8], "big") for raw in found)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.loop.run_until_complete(running.front.stop())
    running.loop.close()


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
    running = Running(tmp_path, max_task_spans=2)
    running.send(Piece(1, 1, 0, "task"), *(Piece(1, number, 1, "foreign") for number in range(2, 9)))
    running.wait(20)
    assert running.front.counters.truncated == 6
    assert running.departed == []
    running.loop.run_until_complete(running.front.stop())
    running.loop.close()


def test_what_there_was_no_room_for_is_told_empty(running, monkeypatch):
    monkeypatch.setattr(sealing, "MAX_DEPARTING_BYTES", 1)
    running.send(Piece(1, 90, 0, "foreign"), Piece(1, 1, 90, "task"))
    running.send(Piece(1, 91, 90, "foreign"))
    running.wait(20)
    running.wait(700)
    assert running.ids() == [90]
    assert [len(each.positions) for each in running.departed if not each.payload] == [1]
