"""How the processor is: named conditions, what each takes to hold, and what the processor is while it does.

`/healthz`, `/readyz`, `status` and the metrics tell the same: all ask `judge`.
"""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from collector_processor.app.analysing.analysis import Analysing
from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.forwarding.process import Forwarding
from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.halts import Halts
from collector_processor.app.journalling.room import FOR_ALL
from collector_processor.app.journalling.shares import NEARLY
from collector_processor.app.listeners import Listeners
from collector_processor.app.outage import Outage
from collector_processor.app.reporting.admin import Health, State
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.pool import WorkerPool
from collector_processor.app.upkeep import Upkeep
from collector_processor.config import Settings
from collector_processor.model.stages import PrivacyKeys

LAG_SECONDS: Final = 300.0
HALF: Final = 0.5
LATELY: Final = 60.0
_APART: Final = 5.0
"""Seconds between two values of a counter that are remembered."""


class Watched(Protocol):
    """The parts of a processor that are looked at."""

    settings: Settings
    front: Front
    pool: WorkerPool
    fallback: Fallback
    outage: Outage
    privacy_keys: PrivacyKeys | None
    database: DatabaseKeeper
    upkeep: Upkeep
    halts: Halts
    analysing: Analysing
    forwarding: Forwarding | None
    listeners: Listeners
    stopping: bool
    fault: str | None
    """What makes it useless until a person mends it."""


class Lately:
    """By how much a counter has grown in the last minute, or in a few seconds more. To be asked every few seconds."""

    def __init__(self, read: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._marks = deque([(clock(), read())])

    def growth(self) -> int:
        """So much, as of now."""
        now, value = self._clock(), self._read()
        if now - self._marks[-1][0] >= _APART:
            self._marks.append((now, value))
        while len(self._marks) > 1 and now - self._marks[1][0] >= LATELY:
            self._marks.popleft()
        return int(value - self._marks[0][1])


class Seen(NamedTuple):
    """What conditions look at beside the processor.

    `lag` is the age of the oldest sealed batch in seconds, `dead_bytes` what dead letters take, `open_traces` as of
    the last look; `refused` requests and `shed` spans are of the last minute.
    """

    processor: Watched
    lag: float = 0.0
    dead_bytes: int = 0
    open_traces: int = 0
    refused: int = 0
    shed: int = 0


class Condition(NamedTuple):
    """Something that is not as it should be: its name, when it holds, what is told then, and how the processor is."""

    name: str
    holds: str
    tell: Callable[[Seen], Iterable[str | None]]
    state: State = State.DEGRADED


def judge(seen: Seen) -> Health:
    """Look at all conditions; quick, of what is known already."""
    told = [(condition, reason) for condition in CONDITIONS for reason in condition.tell(seen) if reason is not None]
    failed = [each for each in told if each[0].state is State.FAILED]
    state = State.FAILED if failed else State.DEGRADED if told else State.OK
    return Health(
        state,
        tuple([reason for _, reason in failed or told]),
        ready=not seen.processor.stopping,
        conditions=tuple(dict.fromkeys(condition.name for condition, _ in told)),
    )


def reference() -> str:
    """The conditions as the table in `deploy/README.md`."""
    rows = [f"| `{each.name}` | {each.state} | {each.holds} |" for each in CONDITIONS]
    return "\n".join(["| condition | health | holds while |", "|---|---|---|", *rows])


# -- What is told ----------------------------------------------------------------------------------


def _database(seen: Seen) -> Iterable[str | None]:
    outage = seen.processor.outage.told(len(seen.processor.pool.queue.backlog))
    problem = seen.processor.database.problem
    yield outage if outage is not None or problem is None else f"database: {problem}"


def _storing(seen: Seen) -> Iterable[str | None]:
    problem = seen.processor.pool.queue.problem
    yield None if problem is None else f"storing: {problem}"


def _lag(seen: Seen) -> Iterable[str | None]:
    if seen.lag > LAG_SECONDS:
        yield f"the oldest sealed batch waits for {seen.lag:.0f} s"


def _fallback(seen: Seen) -> Iterable[str | None]:
    figures = seen.processor.fallback.figures()
    if figures.batches:
        yield f"fallback in use: {figures.batches} batches ({figures.spans} spans) wait in {figures.folder}"


def _fallback_trouble(seen: Seen) -> Iterable[str | None]:
    figures = seen.processor.fallback.figures()
    yield figures.problem
    if figures.damaged_lines:
        yield f"fallback: {figures.damaged_lines} tasks were lost to damaged lines: see the log"


def _dead_letters(seen: Seen) -> Iterable[str | None]:
    if (spans := seen.processor.front.counters.dead) > 0:
        yield f"dead letters wait for a decision ({spans} spans): `otel-benchmark dead-letter list`"


def _dead_letters_full(seen: Seen) -> Iterable[str | None]:
    aside, limit = seen.processor.pool.queue.aside, seen.processor.front.graveyard.max_bytes
    if aside:
        yield (
            f"dead letters are full: {len(aside)} batches stay sealed; "
            "look at `otel-benchmark dead-letter list`, and retry or discard some"
        )
    elif seen.dead_bytes > limit * NEARLY:
        yield f"dead letters take {seen.dead_bytes} of {limit} bytes (DEAD_LETTER_SHARE); full, batches stay sealed"


def _unreadable(seen: Seen) -> Iterable[str | None]:
    for problem, values in seen.processor.front.unreadable.items():
        yield f"journal: {values} entries can't be read: {problem}; put it back and start again"


def _halted(seen: Seen) -> Iterable[str | None]:
    for halt in seen.processor.halts.current:
        yield (
            f"privacy: {halt.source} is halted since {halt.since.isoformat(timespec='seconds')}, its tasks wait: "
            f"{halt.found} in record {halt.id}; look at it, then `otel-benchmark privacy resume "
            f"{shlex.quote(halt.source)}`"
        )


def _access(seen: Seen) -> Iterable[str | None]:
    return seen.processor.listeners.problems()


def _journal_half(seen: Seen) -> Iterable[str | None]:
    used, limit = seen.processor.front.used_bytes, seen.processor.settings.journal_max_bytes
    if used > limit * HALF:
        yield (
            f"the journal is {used * 100 // limit} % full ({used} of {limit} bytes): "
            f"above {FOR_ALL:.0%} requests without a task's own span are refused"
        )


def _open_many(seen: Seen) -> Iterable[str | None]:
    settings = seen.processor.settings
    for what, many, limit, name in (
        ("spans", seen.processor.front.counters.open, settings.max_open_spans, "MAX_OPEN_SPANS"),
        ("traces", seen.open_traces, settings.max_open_traces, "MAX_OPEN_TRACES"),
    ):
        if many > limit * NEARLY:
            yield f"{many} {what} are open, of {limit} ({name}): tasks don't end, or the setting is too small"


def _share(seen: Seen) -> Iterable[str | None]:
    if crowded := seen.processor.front.crowded:
        yield (
            f"services that hold more than {NEARLY:.0%} of their share of the journal: {crowded}; "
            "beyond it (SERVICE_SHARE) their requests are refused, and those of others are not"
        )


def _shed(seen: Seen) -> Iterable[str | None]:
    if seen.shed:
        yield f"{seen.shed} foreign spans of open tasks were shed in the last minute: journal or memory have no room"


def _refused(seen: Seen) -> Iterable[str | None]:
    if seen.refused:
        yield f"{seen.refused} requests were told to come back in the last minute: there was no room for them"


CONDITIONS: Final = (
    Condition(
        "fault",
        "the database is of a newer program, or could not be brought up: see the log, start again",
        lambda seen: [seen.processor.fault],
        State.FAILED,
    ),
    Condition(
        "journal_not_written",
        "the last commit of the journal failed: nothing is acknowledged",
        lambda seen: [seen.processor.front.problem],
        State.FAILED,
    ),
    Condition("database", "the store fails, or didn't answer the last time it was asked", _database),
    Condition("storing", "a worker can't do its work", _storing),
    Condition("lag", f"the oldest sealed batch waits for more than {LAG_SECONDS:.0f} s", _lag),
    Condition("fallback", "batches wait in fallback files", _fallback),
    Condition("fallback_trouble", "fallback files can't be used, or lines were lost", _fallback_trouble),
    Condition("dead_letters_full", f"dead letters take more than {NEARLY:.0%} of their share", _dead_letters_full),
    Condition("dead_letters", "a dead letter waits for a person", _dead_letters),
    Condition("journal_unreadable", "a key of the journal is lost", _unreadable),
    Condition("halted", "a source is halted after a privacy violation", _halted),
    Condition("access", "certificates or tokens changed to what can't be used", _access),
    Condition("journal_half", f"the journal is more than {HALF:.0%} full", _journal_half),
    Condition("open_many", f"more than {NEARLY:.0%} of the spans or traces that may be are open", _open_many),
    Condition("share", f"a service holds more than {NEARLY:.0%} of its share of the journal", _share),
    Condition("shed", "foreign spans were shed in the last minute", _shed),
    Condition("refused", "requests found no room in the last minute", _refused),
)
