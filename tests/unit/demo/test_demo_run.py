"""How long the demonstration waits for its data points, and what it suggests to do next."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector_processor.demo import run

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
READY = {"admin": "127.0.0.1:1", "otlp_http": "127.0.0.1:2"}


class SlowProcessor:
    """Holds something back for as many questions as told."""

    def __init__(self, questions: int) -> None:
        self.questions = questions
        self.commands: list[tuple[str, ...]] = []

    def on_its_way(self) -> int:
        self.questions -= 1
        return max(0, self.questions + 1)

    def command(self, *arguments: str) -> str:
        self.commands.append(arguments)
        return ""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "POLL_S", 0.001)


def wait(processor: Any, sent: int) -> int:
    return run._wait_until_stored(processor, "postgresql://", SINCE, sent)


def test_waits_for_what_is_stored_but_may_still_be_revised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "stored_since", lambda *_: 5)
    processor = SlowProcessor(3)
    assert wait(processor, 5) == 5
    assert processor.questions < 0, "asked until nothing was on its way"
    assert processor.commands == []


def test_closes_by_hand_what_waits_too_long_and_tells_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "STORE_TIMEOUT_S", 0.01)
    processor = SlowProcessor(10**9)
    monkeypatch.setattr(run, "stored_since", lambda *_: 3 if processor.commands else 0)
    assert wait(processor, 5) == 3
    assert processor.commands == [("flush",)]


def test_suggests_only_what_works() -> None:
    gone = "\n".join(run._next_commands(None, READY, keep=False))
    kept = "\n".join(run._next_commands(Path("/data of mine"), READY, keep=False))
    running = "\n".join(run._next_commands(Path("/data of mine"), READY, keep=True))
    assert "sql" not in gone
    assert "COLLECTOR_PROCESSOR_DATA_DIR='/data of mine' otel-benchmark sql" in kept
    assert "status" not in kept
    assert "http://127.0.0.1:1/metrics" in running
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:2" in running


def test_a_new_folder_is_removed() -> None:
    with run._new_folder() as folder:
        (folder / "file").touch()
    assert not folder.exists()
