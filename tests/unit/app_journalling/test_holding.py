"""Whose tasks wait while a source is halted, and for how many bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, TracesData
from support import lifecycle
from support.lifecycle import key_values, payload, raw_task
from support.running_front import RunningFront
from support.spans import Piece

from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import HOLD, SECOND
from collector_processor.app.journalling.sources import Sources
from collector_processor.app.journalling.subject import Subject
from collector_processor.app.privacy import privacy_keys, protector_of
from collector_processor.config import Settings
from collector_processor.convert import convert
from collector_processor.errors import OverloadedError
from collector_processor.guard import Protector
from collector_processor.guard.privacy import Keyring, Text
from collector_processor.model.stages import Signal
from collector_processor.store.erasure import Kind
from otel_benchmark import attributes as a

LEAKY, SOUND = frozenset({"shop/leaky"}), frozenset({"sound"})


def request(service: str, *pieces: Piece) -> bytes:
    namespace, _, name = service.rpartition("/")
    described = {a.SERVICE_NAME: name} | ({a.SERVICE_NAMESPACE: namespace} if namespace else {})
    spans = ScopeSpans(spans=[piece.message() for piece in pieces])
    return TracesData(
        resource_spans=[ResourceSpans(resource=Resource(attributes=key_values(described)), scope_spans=[spans])]
    ).SerializeToString()


class Running(RunningFront):
    """Sources may be halted, and what is sealed is counted."""

    def send_from(self, service: str, *pieces: Piece) -> None:
        self.run(self.front.accept(request(service, *pieces), Signal.TRACES))

    def halt(self, sources: frozenset[str]) -> None:
        self.run(self.front.halt(sources))

    def sealed(self, seconds: int = 11) -> int:
        """Let time pass; how many tasks were sealed since the last time."""
        self.wait(seconds)
        tasks = sum(batch.tasks for batch in self.waiting)
        self.waiting.clear()
        return tasks


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running.over(
        tmp_path, journal_max_bytes=16 << 20, privacy="off", privacy_halt_share=500 / (16 << 20)
    ) as running:
        yield running


def task(trace: int) -> Piece:
    return Piece(trace, 1, 0, "task")


def test_tasks_of_the_source_wait_until_it_is_resumed(running: Running) -> None:
    running.halt(LEAKY)
    running.send_from("shop/leaky", task(1))
    running.send_from("sound", task(2))
    assert running.sealed() == 1
    assert running.sealed(HOLD // SECOND + 1) == 0
    assert running.loop.run_until_complete(running.front.flush()) == 0
    running.halt(SOUND)
    assert running.sealed() == 1


def test_what_came_before_the_halt_waits_too(running: Running) -> None:
    running.send_from("shop/leaky", task(1))
    running.halt(LEAKY)
    assert running.sealed() == 0
    assert running.front.held["shop/leaky"].bytes > 50
    running.halt(frozenset())
    assert running.front.held == {}
    assert running.sealed() == 1


def test_a_trace_waits_for_any_of_its_sources(running: Running) -> None:
    running.halt(LEAKY)
    running.send_from("shop/leaky", Piece(1, 2, 1, "tool"))
    running.send_from("sound", task(1))
    assert running.sealed() == 0


def test_another_halt_keeps_the_first_and_its_count(running: Running) -> None:
    running.halt(LEAKY)
    running.send_from("shop/leaky", task(1))
    assert running.sealed() == 0
    before = running.front.held["shop/leaky"].bytes
    running.halt(LEAKY | SOUND)
    assert running.sealed() == 0
    assert running.front.held["shop/leaky"].bytes == before


def test_its_share_is_bounded(running: Running) -> None:
    running.halt(LEAKY)
    running.send_from("shop/leaky", task(1), task(2))
    with pytest.raises(OverloadedError, match=r"shop/leaky is halted after a privacy violation.*\(500 bytes\) is full"):
        running.send_from("shop/leaky", *map(task, range(3, 9)))
    running.send_from("sound", task(20))
    counters = running.front.counters
    assert counters.received == 3
    assert running.sealed() == 1
    held = running.front.held["shop/leaky"]
    assert 0 < held.bytes < held.max_bytes == 500
    assert held.seconds_to_full is not None


def test_the_time_to_full_is_told_by_what_comes_and_not_by_what_was_there(running: Running) -> None:
    running.send_from("shop/leaky", task(1))
    running.halt(LEAKY)
    assert running.sealed() == 0
    assert running.front.held["shop/leaky"].seconds_to_full is None
    running.send_from("shop/leaky", task(2))
    held = running.front.held["shop/leaky"]
    assert held.seconds_to_full is not None
    assert held.seconds_to_full >= (held.max_bytes - held.bytes) / held.bytes


def test_what_is_erased_is_held_no_longer(running: Running) -> None:
    running.halt(LEAKY)
    running.send_from("shop/leaky", Piece(1, 1, 0, "task", "t-1"))
    assert running.sealed() == 0
    assert running.front.held["shop/leaky"].bytes > 50
    withdrawn = running.loop.run_until_complete(running.front.withdraw(Subject(Kind.TASK, "t-1"), dry=False))
    assert withdrawn.removed
    assert running.front.held["shop/leaky"].bytes == 0


def test_fragments_of_sound_sources_are_not_remembered_when_they_have_gone(running: Running) -> None:
    running.halt(LEAKY)
    for number in range(1, 9):
        running.send_from("sound", task(number))
    assert running.sealed() == 8
    assert running.front._holding._fragments == {}


ADDRESS = "mia.li@corp-mail.com"


@pytest.mark.parametrize("key", [0, 1])
def test_a_source_whose_name_is_redacted_is_recognised_under_every_key(running: Running, key: int) -> None:
    keys = (("k2", b"the newer key of these tests"), ("k1", b"the older key of these tests"))
    front = Front(
        dataclasses.replace(
            running.settings, data_dir=running.settings.data_dir / "other", privacy="on", privacy_keys=keys
        ),
        lambda _: None,
    )
    ring = Keyring(dict(keys), current=keys[key][0])
    running.loop.run_until_complete(front.recover())
    (named,) = Protector(None, ring).redact([Text(a.SERVICE_NAME, ADDRESS)], None).values
    source = f"shop/{named}"
    assert ADDRESS not in source
    running.loop.run_until_complete(front.halt(frozenset({source})))
    running.loop.run_until_complete(front.accept(request(f"shop/{ADDRESS}", task(1)), Signal.TRACES))
    assert front.held[source].bytes > 50
    running.loop.run_until_complete(front.stop())


def test_a_source_is_named_as_its_records_name_it(tmp_path: Path) -> None:
    """By conversion and the privacy pass themselves."""
    sources = Sources(Settings(data_dir=tmp_path))
    protector = protector_of(None, privacy_keys(Settings(data_dir=tmp_path)))
    for said in (ADDRESS, f"shop of {ADDRESS}", "x" * 3000, "it\0em"):
        resource = {a.SERVICE_NAME: said, a.SERVICE_NAMESPACE: said}
        body = payload([lifecycle.task(attributes={a.TASK_DESCRIPTION: f"ask {ADDRESS}"})], resource=resource)
        facts = protector.protect(convert(raw_task(body))).facts
        assert facts is not None
        assert facts.task is not None
        source = facts.task.source
        assert f"{source.service_namespace}/{source.service_name}" in sources.of(body)


@pytest.mark.parametrize(
    ("service", "source"), [("shop/leaky", "shop/leaky"), ("leaky", "leaky"), ("", "unknown"), ("shop/", "shop")]
)
def test_a_source_is_its_service(tmp_path: Path, service: str, source: str) -> None:
    assert Sources(Settings(data_dir=tmp_path, privacy="off")).of(request(service, task(1))) == {source}
