"""The journal is shared among services: whoever sends without end is refused, the others are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.lifecycle import payload
from support.running_front import RunningFront
from support.spans import Piece

from collector_processor.errors import OverloadedError
from collector_processor.model.stages import Signal
from otel_benchmark import attributes as a

SIZE = 1 << 20
LARGE = 20_000


class Running(RunningFront):
    """It sends large spans of services until it is refused."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.retry_after = 0.0
        self.numbers = iter(range(1, 10_000))
        super().__init__(folder, **settings)

    def send_from(self, service: str, kind: str = "task") -> None:
        span = Piece(next(self.numbers), 1, 0 if kind == "task" else 9, kind).message()
        span.name += " " * LARGE
        body = payload([span], resource={a.SERVICE_NAME: service})
        self.run(self.front.accept(body, Signal.TRACES))

    def fill(self, service: str, kind: str = "task") -> tuple[int, str]:
        """Send until it is refused; how many requests were taken, and what was said."""
        for taken in range(SIZE // LARGE + 1):
            try:
                self.send_from(service, kind)
            except OverloadedError as error:
                self.retry_after = error.retry_after
                return taken, str(error)
        raise AssertionError("it was never refused")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running.over(tmp_path, journal_max_bytes=SIZE, service_share=0.75) as running:
        yield running


def test_a_noisy_service_is_refused_and_others_are_not(running: Running) -> None:
    taken, said = running.fill("noisy")
    assert taken > 0.5 * SIZE / LARGE
    assert said.startswith("noisy holds ")
    assert 1 <= running.retry_after <= 2
    assert running.front.crowded == 1
    for _ in range(3):
        running.send_from("quiet")
    assert running.fill("second")[1].startswith("second holds ")
    running.send_from("third")


def test_it_is_taken_again_when_what_it_held_has_gone(running: Running) -> None:
    before, _ = running.fill("noisy")
    running.store()
    assert running.front.crowded == 0
    assert running.fill("noisy")[0] >= before - 1, "pages of what is remembered of closed tasks take a little"


@pytest.mark.parametrize("kind", ["tool", "foreign"])
def test_of_its_share_a_tenth_is_for_tasks_too(running: Running, kind: str) -> None:
    running.fill("noisy", kind)
    running.send_from("noisy")


def test_a_start_finds_out_whose_the_fragments_are(running: Running) -> None:
    running.fill("noisy", "tool")
    running.end()
    running.begin()
    assert running.front.crowded == 0
    running.loop.run_until_complete(running.front.tick())
    assert running.front.crowded == 1
    with pytest.raises(OverloadedError, match="noisy holds"):
        running.send_from("noisy", "tool")


def test_what_is_counted_is_what_the_journal_holds(running: Running) -> None:
    count: Callable[[], int] = lambda: sum(running.front._shares._ledger.bytes.values())  # noqa: E731  # asked three times
    for service in ("a", "b", "a"):
        running.send_from(service)
    assert 3 * LARGE < count() < 3 * LARGE + 1000
    running.store()
    assert count() == 0
    assert not running.front._shares._ledger._pages
