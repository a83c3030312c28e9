"""What `status` and `/metrics` say of forwarding."""

from __future__ import annotations

import msgspec
import pytest

from collector_processor.app.reporting.admin import Health, State
from collector_processor.app.reporting.status import Collection, Database, Forward, Journal, Place, Status, as_metrics
from collector_processor.cli import main
from collector_processor.telemetry import snapshot

FORWARD = Forward(
    endpoint="http://jaeger:4317",
    protocol="grpc",
    sent=12,
    sampled_out=3,
    dropped={"no_room": 2},
    waiting_bytes=2048,
    problem="UNAVAILABLE: nobody there",
)


def status(forward: Forward | None) -> Status:
    return Status(
        version="0.1.0",
        pid=7,
        started_at="2026-11-22T12:00:00.000000000Z",
        uptime_seconds=1.0,
        health=Health(State.OK),
        listening={},
        workers=1,
        journal=Journal(bytes=0, max_bytes=1),
        place=Place(
            open_tasks=0,
            open_traces=0,
            max_open_traces=1,
            open_spans=0,
            max_open_spans=1,
            closed_tasks=0,
            next_flush_seconds=None,
            sealed_batches=0,
            sealed_tasks=0,
        ),
        database=Database(url="embedded", tier=None, up=True, lag_seconds=0.0),
        collection=Collection(),
        equations=(),
        forward=forward,
    )


def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], forward: Forward) -> list[str]:
    answer = msgspec.json.decode(msgspec.json.encode(status(forward)))
    monkeypatch.setattr("collector_processor.app.control.ask", lambda *_, **__: answer)
    monkeypatch.setattr("collector_processor.telemetry.configure", lambda _settings: None)
    assert main(["status"]) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()][-2:]


def test_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(monkeypatch, capsys, FORWARD) == [
        "forwarded sent 12, sampled out 3, dropped: no room 2; 2.0 KiB waiting",
        "http://jaeger:4317: UNAVAILABLE: nobody there",
    ]


def test_words_before_anything_was_forwarded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = Forward(endpoint="http://j", protocol="grpc", sent=0, sampled_out=0, dropped={}, waiting_bytes=0)
    assert lines(monkeypatch, capsys, fresh) == ["forwarded nothing yet; 0 B waiting", "http://j"]


def test_what_was_redacted_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    redacted = msgspec.structs.replace(FORWARD, texts=9, replaced={"EMAIL": 2}, withheld={"too_deep": 1})
    assert lines(monkeypatch, capsys, redacted)[-1] == "9 texts searched; replaced 2 EMAIL; withheld 1 too_deep"
    values = as_metrics(status(redacted))
    assert values[snapshot.FORWARD_TEXTS] == 9
    assert values[snapshot.FORWARD_REPLACED] == {("EMAIL",): 2}
    assert values[snapshot.FORWARD_WITHHELD] == {("too_deep",): 1}


def test_metrics() -> None:
    values = as_metrics(status(FORWARD))
    assert (values[snapshot.FORWARD_UP], values[snapshot.FORWARD_WAITING_BYTES]) == (0, 2048)
    assert snapshot.FORWARD_UP not in as_metrics(status(None))
