"""`status` and `flush` in words and in exit codes, for answers that a healthy processor doesn't give."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from collector_processor.app.reporting.admin import Health, State
from collector_processor.app.reporting.status import (
    Collection,
    Database,
    Equation,
    Journal,
    Maintenance,
    Off,
    Place,
    Status,
)
from collector_processor.cli import main
from collector_processor.errors import ControlError

BALANCED = Equation(
    name="journal spans", total_name="received", total=10, terms={"open": 9, "rejected": 1, "sealed": 0}
)
EMPTY = Equation(name="records", total_name="newly_closed", total=0, terms={"accepted": 0})
STATUS = Status(
    version="0.1.0",
    pid=7,
    started_at="2026-11-22T12:00:00.000000000Z",
    uptime_seconds=7200.0,
    health=Health(State.DEGRADED, ("database: refused",)),
    listening={"otlp_http": "127.0.0.1:4318"},
    workers=1,
    journal=Journal(bytes=3 << 20, max_bytes=8 << 30, seconds_to_full=400_000.0),
    place=Place(
        open_tasks=2,
        open_traces=2,
        max_open_traces=100,
        open_spans=9,
        max_open_spans=1000,
        closed_tasks=1,
        next_flush_seconds=3.5,
        sealed_batches=4,
        sealed_tasks=40,
        oldest_open_task_seconds=90.0,
    ),
    database=Database(
        url="postgresql://o:***@h/db",
        tier=None,
        up=False,
        lag_seconds=300.0,
        error="refused",
        maintenance=Maintenance(stale_hours=2, settled_at="2026-11-22T12:00:00.123456+00:00", error="locked"),
    ),
    collection=Collection(),
    equations=(BALANCED, EMPTY),
    off=(Off(what="tenants", why="no key"),),
)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector_processor.telemetry.configure", lambda _settings: None)


def answer(monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    def ask(*_: Any, **__: Any) -> Any:
        if isinstance(given, Exception):
            raise given
        return msgspec.json.decode(msgspec.json.encode(given))

    monkeypatch.setattr("collector_processor.app.control.ask", ask)


def test_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer(monkeypatch, STATUS)
    assert main(["status"]) == 0
    assert [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()] == [
        ["processor", "0.1.0, process 7, up 2 h"],
        ["health", "degraded; database: refused"],
        ["receives", "otlp_http 127.0.0.1:4318"],
        ["journal", "3.0 MiB of 8.0 GiB, full in 5 d"],
        ["open", "2 tasks, 9 spans, the oldest for 90 s"],
        ["closed", "1 tasks and late parts, sealed in 3.5 s at the latest"],
        ["sealed", "40 tasks and late parts in 4 batches"],
        ["database", "DOWN (refused), 5 min behind"],
        ["postgresql://o:***@h/db"],
        ["maintenance", "2 hours of statistics to settle, settled 2026-11-22T12:00:00Z"],
        ["FAILED,", "it will be tried again: locked"],
        ["journal", "spans  balances"],
        ["received", "10 = open 9 + rejected 1"],
        ["records", "balances"],
        ["newly_closed", "0 = 0"],
        ["off", "tenants: no key"],
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"health": Health(State.FAILED, ("the journal is damaged",))}, "failed; the journal is damaged"),
        (
            {"equations": (Equation(name="journal spans", total_name="received", total=10, terms={"open": 8}),)},
            "does NOT balance: 2 missing",
        ),
    ],
)
def test_failure_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    answer(monkeypatch, msgspec.structs.replace(STATUS, **changes))
    assert main(["status"]) == 1
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(("age", "words"), [(9.0, "7 data points"), (30.0, "7 data points, as of 30 s ago")])
def test_figures_of_long_ago_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], age: float, words: str
) -> None:
    database = msgspec.structs.replace(STATUS.database, asked_seconds_ago=age)
    collection = Collection(total_data_points=7)
    answer(monkeypatch, msgspec.structs.replace(STATUS, database=database, collection=collection))
    assert main(["status"]) == 0
    assert ["stored", words] in [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]


def test_a_flush_that_fails_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer(monkeypatch, {"sealed": 3})
    assert main(["flush"]) == 0
    assert capsys.readouterr().out == "closed and stored 3 tasks and late parts\n"
    answer(monkeypatch, ControlError("the database is down: 3 tasks are sealed and wait"))
    assert main(["flush"]) == 1
    assert capsys.readouterr().err == "otel-benchmark: the database is down: 3 tasks are sealed and wait\n"
