"""Each condition of health: what makes it hold, what is told, and how the processor is then."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace as Parts
from typing import Any, cast
from uuid import UUID

import pytest

from collector_processor.app.outage import Outage
from collector_processor.app.reporting.admin import State
from collector_processor.app.reporting.health import CONDITIONS, LAG_SECONDS, Lately, Seen, Watched, judge
from collector_processor.app.storing.fallback_books import Figures
from collector_processor.config import Settings
from collector_processor.journal.format import Counters
from collector_processor.store.halts import Halt
from collector_processor.telemetry.metrics import REQUESTS, refused_requests


def well() -> Any:
    """The parts of a processor, as far as health asks them, while all is well."""
    return Parts(
        settings=Settings(max_open_spans=1000, max_open_traces=1000, journal_max_bytes=1000),
        stopping=False,
        fault=None,
        outage=Outage(3, 1.0),
        database=Parts(problem=None),
        pool=Parts(queue=Parts(problem=None, backlog=[], aside=[])),
        fallback=Parts(figures=lambda: FIGURES),
        front=Parts(
            problem=None,
            unreadable={},
            crowded=0,
            used_bytes=500,
            counters=Counters(open=800),
            graveyard=Parts(max_bytes=100),
        ),
        halts=Parts(current=()),
        listeners=Parts(problems=list),
    )


FIGURES = Figures(
    folder="/f", files=0, bytes=0, max_bytes=1, batches=0, tasks=0, spans=0, imported=0, damaged_lines=0, problem=None
)
HALT = Halt("one app", datetime(2026, 11, 22, tzinfo=UTC), UUID(int=1), "1 EMAIL")


def the_same(parts: Any) -> None:
    """Change nothing."""


def down(parts: Any) -> None:
    parts.outage.failed("connection refused", 3)
    parts.pool.queue.backlog = [object()] * 2


def filed(**changed: Any) -> Callable[[Any], None]:
    return lambda parts: setattr(parts.fallback, "figures", lambda: FIGURES._replace(**changed))


def part(path: str, value: object) -> Callable[[Any], None]:
    """Change one attribute: `front.problem`."""
    *above, name = path.split(".")

    def change(parts: Any) -> None:
        for each in above:
            parts = getattr(parts, each)
        setattr(parts, name, value)

    return change


HOLDING = [
    ("fault", "a newer program", part("fault", "a newer program"), {}),
    ("journal_not_written", "No space left", part("front.problem", "No space left"), {}),
    ("database", "down since .* 2 batches wait: connection refused", down, {}),
    ("database", "database: no answer", part("database.problem", "no answer"), {}),
    ("storing", "storing: it ended", part("pool.queue.problem", "it ended"), {}),
    ("lag", "waits for 301 s", the_same, {"lag": LAG_SECONDS + 1}),
    ("fallback", r"4 batches \(40 spans\) wait in /f", filed(batches=4, spans=40), {}),
    ("fallback_trouble", "the disk is full", filed(problem="the disk is full"), {}),
    ("fallback_trouble", "2 tasks were lost", filed(damaged_lines=2), {}),
    ("dead_letters_full", "81 of 100 bytes", the_same, {"dead_bytes": 81}),
    ("dead_letters_full", "1 batches stay sealed", part("pool.queue.aside", [object()]), {}),
    ("dead_letters", r"\(7 spans\)", part("front.counters.dead", 7), {}),
    ("journal_unreadable", "3 entries can't be read: key 9", part("front.unreadable", {"key 9": 3}), {}),
    ("halted", "privacy resume 'one app'", part("halts.current", (HALT,)), {}),
    ("access", "TOKENS_FILE", part("listeners.problems", lambda: ["TOKENS_FILE is empty"]), {}),
    ("journal_half", r"51 % full \(510 of 1000 bytes\)", part("front.used_bytes", 510), {}),
    ("open_many", "801 spans are open, of 1000 .MAX_OPEN_SPANS", part("front.counters.open", 801), {}),
    ("open_many", "900 traces are open, of 1000 .MAX_OPEN_TRACES", the_same, {"open_traces": 900}),
    ("share", "share of the journal: 2", part("front.crowded", 2), {}),
    ("shed", "5 foreign spans", the_same, {"shed": 5}),
    ("refused", "6 requests", the_same, {"refused": 6}),
]


def test_up_to_the_thresholds_all_is_well() -> None:
    health = judge(Seen(cast("Watched", well()), lag=LAG_SECONDS, dead_bytes=80, open_traces=800))
    assert (health.state, health.reasons, health.conditions, health.ready) == (State.OK, (), (), True)


@pytest.mark.parametrize(("name", "told", "change", "seen"), HOLDING)
def test_beyond_one_its_condition_holds_and_no_other(
    name: str, told: str, change: Callable[[Any], None], seen: dict[str, Any]
) -> None:
    parts = well()
    change(parts)
    health = judge(Seen(parts, **seen))
    assert health.conditions == (name,)
    (reason,) = health.reasons
    assert re.search(told, reason)
    failed = name in {"fault", "journal_not_written"}
    assert health.state is (State.FAILED if failed else State.DEGRADED)


def test_every_condition_is_tested() -> None:
    assert [condition.name for condition in CONDITIONS] == [*dict.fromkeys(name for name, *_ in HOLDING)]


def test_while_it_has_failed_nothing_else_is_told_but_every_condition_is_named() -> None:
    parts = well()
    down(parts)
    parts.fault, parts.stopping = "a newer program", True
    health = judge(Seen(parts))
    assert (health.state, health.reasons, health.ready) == (State.FAILED, ("a newer program",), False)
    assert health.conditions == ("fault", "database")


def test_what_has_grown_lately_is_forgotten_after_a_minute() -> None:
    value, now = 5.0, 0.0
    lately = Lately(lambda: value, lambda: now)
    assert lately.growth() == 0
    value = 8.0
    assert lately.growth() == 3
    for now in range(1, 56):  # noqa: B007  # read by the clock
        assert lately.growth() == 3
    for now in range(56, 200):  # noqa: B007
        lately.growth()
    assert lately.growth() == 0
    assert len(lately._marks) < 20


def test_requests_are_refused_that_are_told_to_come_back() -> None:
    before = refused_requests()
    for outcome in ("ok", "overloaded", "malformed", "overloaded"):
        REQUESTS.labels("http", "traces", outcome).inc()
    assert refused_requests() - before == 2
