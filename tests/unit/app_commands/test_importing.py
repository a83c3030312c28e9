"""How long an import is gone on with while workers end, or hang, over a line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from collector_processor.app.commands import importing
from collector_processor.app.storing.batch_queue import BatchQueue
from collector_processor.app.storing.fallback_books import Figures

PATIENCE = 300.0
HUNG = "a worker process took longer than 300 s, and was ended"
FIGURES = Figures(
    folder="/f", files=1, bytes=1, max_bytes=9, batches=1, tasks=4, spans=8, imported=0, damaged_lines=0, problem=None
)


class Watch:
    """A clock, and an import of one batch that is looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(importing, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.told: list[str] = []
        nothing: Any = None  # nothing is asked for what is next
        self.queue = BatchQueue(nothing, nothing, nothing)
        self.queue.problem = HUNG
        self.progress = importing._Progress(FIGURES, self.told.append, PATIENCE)

    def goes_on(self, *, after: float) -> bool:
        self.now += after
        return self.progress.goes_on(FIGURES, None, self.queue)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def test_workers_that_end_over_no_batch_are_started_again_for_a_minute(watch: Watch) -> None:
    assert watch.goes_on(after=59)
    assert not watch.goes_on(after=2)
    assert HUNG in watch.told[0]


def test_each_try_of_a_line_that_hangs_a_worker_is_waited_for(watch: Watch) -> None:
    batch = uuid4()
    assert watch.goes_on(after=0)
    for _ in range(3):
        watch.queue.suspects.blame(batch, 1)
        assert watch.goes_on(after=PATIENCE + 1)
        assert watch.goes_on(after=PATIENCE + 1)
    assert not watch.goes_on(after=60)
