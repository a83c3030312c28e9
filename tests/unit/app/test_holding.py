"""Whose tasks wait while a source is halted, and for how many bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, TracesData
from support.lifecycle import key_values
from support.spans import Piece

from collector_processor.app.front import HOLD, SECOND, Front, Waiting
from collector_processor.app.holding import sources_of
from collector_processor.config import Settings
from collector_processor.errors import OverloadedError
from collector_processor.model.stages import Signal
from otel_benchmark import attributes as a

LEAKY, SOUND = frozenset({"shop/leaky"}), frozenset({"sound"})


def request(service: str, *pieces: Piece) -> bytes:
    namespace, _, name = service.rpartition("/")
    described = {a.SERVICE_NAME: name} | ({a.SERVICE_NAMESPACE: namespace} if namespace else {})
    spans = ScopeSpans(spans=[piece.message() for piece in pieces])
    return TracesData(
        resource_spans=[ResourceSpans(resource=Resource(attributes=key_values(described)), scope_spans=[spans])]
    ).SerializeToString()


class Running:
    """A front under a clock in seconds."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_760_000_000
        self.loop = asyncio.new_event_loop()
        self.waiting: list[Waiting] = []
        settings = Settings(
            data_dir=folder, flush_interval=0.1, journal_max_bytes=16 << 20, privacy_halt_share=500 / (16 << 20)
        )
        self.front = Front(settings, self.waiting.extend, lambda: self.now * SECOND)
        self.loop.run_until_complete(self.front.recover())

    def end(self) -> None:
        self.loop.run_until_complete(self.front.stop())
        self.loop.close()

    def send(self, service: str, *pieces: Piece) -> None:
        self.loop.run_until_complete(self.front.accept(request(service, *pieces), Signal.TRACES))

    def halt(self, sources: frozenset[str]) -> None:
        self.loop.run_until_complete(self.front.halt(sources))

    def sealed(self, seconds: int = 11) -> int:
        """Let time pass; how many tasks were sealed since the last time."""
        for pause in (seconds, 1):
            self.now += pause
            self.loop.run_until_complete(self.front.tick())
        tasks = sum(batch.tasks for batch in self.waiting)
        self.waiting.clear()
        return tasks


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.end()


def task(trace: int) -> Piece:
    return Piece(trace, 1, 0, "task")


def test_tasks_of_the_source_wait_until_it_is_resumed(running: Running) -> None:
    running.halt(LEAKY)
    running.send("shop/leaky", task(1))
    running.send("sound", task(2))
    assert running.sealed() == 1
    assert running.sealed(HOLD // SECOND + 1) == 0
    assert running.loop.run_until_complete(running.front.flush()) == 0
    running.halt(SOUND)
    assert running.sealed() == 1


def test_what_came_before_the_halt_waits_too(running: Running) -> None:
    running.send("shop/leaky", task(1))
    running.halt(LEAKY)
    assert running.sealed() == 0
    assert running.front.held["shop/leaky"].bytes > 50
    running.halt(frozenset())
    assert running.front.held == {}
    assert running.sealed() == 1


def test_a_trace_waits_for_any_of_its_sources(running: Running) -> None:
    running.halt(LEAKY)
    running.send("shop/leaky", Piece(1, 2, 1, "tool"))
    running.send("sound", task(1))
    assert running.sealed() == 0


def test_another_halt_keeps_the_first_and_its_count(running: Running) -> None:
    running.halt(LEAKY)
    running.send("shop/leaky", task(1))
    assert running.sealed() == 0
    before = running.front.held["shop/leaky"].bytes
    running.halt(LEAKY | SOUND)
    assert running.sealed() == 0
    assert running.front.held["shop/leaky"].bytes == before


def test_its_share_is_bounded(running: Running) -> None:
    running.halt(LEAKY)
    running.send("shop/leaky", task(1), task(2))
    with pytest.raises(OverloadedError, match=r"shop/leaky is halted after a privacy violation.*\(500 bytes\) is full"):
        running.send("shop/leaky", *map(task, range(3, 9)))
    running.send("sound", task(20))
    counters = running.front.counters
    assert counters.received == 3
    assert running.sealed() == 1
    held = running.front.held["shop/leaky"]
    assert 0 < held.bytes < held.max_bytes == 500
    assert held.seconds_to_full is not None


@pytest.mark.parametrize(
    ("service", "source"), [("shop/leaky", "shop/leaky"), ("leaky", "leaky"), ("", "unknown"), ("shop/", "shop")]
)
def test_a_source_is_its_service(service: str, source: str) -> None:
    assert sources_of(request(service, task(1))) == {source}
