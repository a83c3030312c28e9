"""What a running processor says of itself: the answer to `status`, and the same figures as metrics.

One value, read in one go, so that its equations can be checked. `None` is not known, which is not zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from collector_processor.app.reporting.admin import Health
from collector_processor.telemetry import snapshot as metric
from collector_processor.telemetry.snapshot import Family, Snapshot


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the parts of a status."""


class Journal(Part, frozen=True, kw_only=True):
    """How full the journal is. `seconds_to_full` is None while it doesn't grow."""

    bytes: int
    max_bytes: int
    seconds_to_full: float | None = None


class Place(Part, frozen=True, kw_only=True):
    """Where data is, in the order of its way. `closed_tasks` wait to be sealed, at the latest in `next_flush`."""

    open_tasks: int
    open_traces: int
    max_open_traces: int
    open_spans: int
    max_open_spans: int
    closed_tasks: int
    next_flush_seconds: float | None
    sealed_batches: int
    sealed_tasks: int
    oldest_open_task_seconds: float | None = None


class Maintenance(Part, frozen=True, kw_only=True):
    """Hours whose statistics are computed when asked for, until they are settled; when old records were retired."""

    stale_hours: int | None = None
    settled_at: str | None = None
    retired_at: str | None = None
    error: str | None = None


class Database(Part, frozen=True, kw_only=True):
    """The database as it was the last time it was asked; `lag_seconds` is the age of the oldest sealed batch.

    A large one is asked seldom: what is told of its contents is as of `asked_seconds_ago`, None before it has answered.
    """

    url: str
    """With its password masked."""
    tier: str | None
    up: bool
    lag_seconds: float
    error: str | None = None
    asked_seconds_ago: float | None = None
    maintenance: Maintenance = Maintenance()


class Waiting(Part, frozen=True, kw_only=True):
    """Facts in the database that came before their task: evaluations and orphans, within bounds of number and age."""

    facts: int
    evaluations: int
    max_facts: int
    oldest_seconds: float | None
    max_seconds: float


class Equation(Part, frozen=True, kw_only=True):
    """`total` = sum of `terms`, over spans or records: every one of them is in exactly one place."""

    name: str
    total_name: str
    total: int
    terms: dict[str, int]

    @property
    def missing(self) -> int:
        """By how much the terms fall short of the total: 0 where it balances."""
        return self.total - sum(self.terms.values())


class Collection(Part, frozen=True, kw_only=True):
    """The seed's CollectionMetrics. Rates 0..1; latency in milliseconds a task, as the plugin measures itself."""

    data_points_collected_today: int | None = None
    data_points_per_hour: int | None = None
    total_data_points: int | None = None
    validation_failure_rate: float | None = None
    privacy_violations: int | None = None
    duplicate_rate: float | None = None
    agents_covered: tuple[str, ...] | None = None
    task_types_covered: tuple[str, ...] | None = None
    complexity_distribution: dict[str, int] | None = None
    avg_collection_latency_ms: float | None = None
    buffer_flush_rate_per_minute: float | None = None
    storage_growth_rate_bytes_per_day: float | None = None


class Forward(Part, frozen=True, kw_only=True):
    """Traces on their way to a backend. Spans are counted since the start, dropped ones by reason.

    `texts` of theirs were searched for personal data and credentials, beside those of records: see `Privacy`.
    """

    endpoint: str
    protocol: str
    sent: int
    sampled_out: int
    dropped: dict[str, int]
    waiting_bytes: int
    problem: str | None = None
    texts: int = 0
    replaced: dict[str, int] = {}
    withheld: dict[str, int] = {}


class Privacy(Part, frozen=True, kw_only=True):
    """What the privacy pass did since the start. `keys` are ids of the keys of pseudonyms, the current one first."""

    keys: tuple[str, ...]
    texts: int
    replaced: dict[str, int]
    withheld: dict[str, int]


class Analysis(Part, frozen=True, kw_only=True):
    """Deep samples: how many facets wait, in what part of their share of the journal, and what was stored in 24 hours.

    `stored` counts by facet and ending: `complete`, or `empty: content_off`.
    """

    pending: int
    oldest_pending_seconds: float | None
    bytes: int
    max_bytes: int
    stored: dict[str, dict[str, int]] | None = None
    problem: str | None = None


class Halted(Part, frozen=True, kw_only=True):
    """A source whose tasks wait since a privacy violation, and what the journal holds of it."""

    source: str
    since: str
    found: str
    record: str
    bytes: int
    max_bytes: int
    seconds_to_full: float | None = None


class Fallback(Part, frozen=True, kw_only=True):
    """What waits in files for the database. `imported` batches and `damaged_lines` are counted since the start."""

    folder: str = ""
    files: int = 0
    bytes: int = 0
    max_bytes: int = 0
    batches: int = 0
    tasks: int = 0
    spans: int = 0
    imported: int = 0
    damaged_lines: int = 0
    problem: str | None = None


class Off(Part, frozen=True, kw_only=True):
    """A part of the processor that is not at work, and why."""

    what: str
    why: str


class Status(Part, frozen=True, kw_only=True):
    """The whole answer. `listening` has an entry for `otlp_grpc`, `otlp_http` and `admin` each that is on."""

    version: str
    pid: int
    started_at: str
    uptime_seconds: float
    health: Health
    listening: dict[str, str]
    workers: int
    journal: Journal
    place: Place
    database: Database
    collection: Collection
    equations: tuple[Equation, ...]
    fallback: Fallback = Fallback()
    waiting: Waiting | None = None
    privacy: Privacy | None = None
    analysis: Analysis | None = None
    halted: tuple[Halted, ...] = ()
    forward: Forward | None = None
    off: tuple[Off, ...] = ()


def as_metrics(status: Status) -> Snapshot:
    """The status in the form that `/metrics` serves."""
    place, database, collection = status.place, status.database, status.collection
    distribution = collection.complexity_distribution
    latency = collection.avg_collection_latency_ms
    numbers: Mapping[Family, float | None] = {
        metric.JOURNAL_BYTES: status.journal.bytes,
        metric.JOURNAL_MAX_BYTES: status.journal.max_bytes,
        metric.JOURNAL_SECONDS_TO_FULL: status.journal.seconds_to_full,
        metric.OPEN_TASKS: place.open_tasks,
        metric.OPEN_TRACES: place.open_traces,
        metric.MAX_OPEN_TRACES: place.max_open_traces,
        metric.OPEN_SPANS: place.open_spans,
        metric.MAX_OPEN_SPANS: place.max_open_spans,
        metric.OLDEST_OPEN_TASK: place.oldest_open_task_seconds,
        metric.CLOSED_TASKS: place.closed_tasks,
        metric.SEALED_BATCHES: place.sealed_batches,
        metric.SEALED_TASKS: place.sealed_tasks,
        metric.FALLBACK_BYTES: status.fallback.bytes,
        metric.FALLBACK_BATCHES: status.fallback.batches,
        metric.FALLBACK_IMPORTED: status.fallback.imported,
        metric.FALLBACK_DAMAGED_LINES: status.fallback.damaged_lines,
        metric.DATABASE_UP: int(database.up),
        metric.DATABASE_LAG: database.lag_seconds,
        metric.DATA_POINTS_COLLECTED_TODAY: collection.data_points_collected_today,
        metric.DATA_POINTS_PER_HOUR: collection.data_points_per_hour,
        metric.TOTAL_DATA_POINTS: collection.total_data_points,
        metric.VALIDATION_FAILURE_RATE: collection.validation_failure_rate,
        metric.PRIVACY_VIOLATIONS: collection.privacy_violations,
        metric.DUPLICATE_RATE: collection.duplicate_rate,
        metric.AGENTS_COVERED: _count(collection.agents_covered),
        metric.TASK_TYPES_COVERED: _count(collection.task_types_covered),
        metric.AVG_COLLECTION_LATENCY: None if latency is None else latency / 1000,
        metric.BUFFER_FLUSH_RATE: collection.buffer_flush_rate_per_minute,
        metric.STORAGE_GROWTH_RATE: collection.storage_growth_rate_bytes_per_day,
    }
    values: dict[Family, Any] = {family: number for family, number in numbers.items() if number is not None}
    if (waiting := status.waiting) is not None:
        values[metric.WAITING_FACTS] = waiting.facts
        values[metric.OLDEST_WAITING] = waiting.oldest_seconds or 0.0
    if (privacy := status.privacy) is not None:
        values[metric.PRIVACY_TEXTS] = privacy.texts
        values[metric.PRIVACY_REPLACED] = {(name,): count for name, count in privacy.replaced.items()}
        values[metric.PRIVACY_WITHHELD] = {(name,): count for name, count in privacy.withheld.items()}
    if (analysis := status.analysis) is not None:
        values[metric.PENDING_SAMPLES] = analysis.pending
        values[metric.ANALYSIS_BYTES] = analysis.bytes
        values[metric.ANALYSIS_UP] = int(analysis.problem is None)
        if analysis.oldest_pending_seconds is not None:
            values[metric.OLDEST_PENDING_SAMPLE] = analysis.oldest_pending_seconds
    if status.halted:
        values[metric.PRIVACY_HELD_BYTES] = {(each.source,): each.bytes for each in status.halted}
        values[metric.PRIVACY_SECONDS_TO_FULL] = {
            (each.source,): each.seconds_to_full for each in status.halted if each.seconds_to_full is not None
        }
    if status.forward is not None:
        values[metric.FORWARD_UP] = int(status.forward.problem is None)
        values[metric.FORWARD_WAITING_BYTES] = status.forward.waiting_bytes
        values[metric.FORWARD_TEXTS] = status.forward.texts
        values[metric.FORWARD_REPLACED] = {(name,): count for name, count in status.forward.replaced.items()}
        values[metric.FORWARD_WITHHELD] = {(name,): count for name, count in status.forward.withheld.items()}
    values[metric.HEALTH] = {(status.health.state.value,): 1}
    values[metric.HEALTH_CONDITION] = {(name,): 1 for name in status.health.conditions}
    values[metric.BUILD_INFO] = {(status.version,): 1}
    if distribution is not None:
        values[metric.COMPLEXITY_DISTRIBUTION] = {(name,): count for name, count in distribution.items()}
    values[metric.EQUATION_TERM] = {
        (equation.name, term): count
        for equation in status.equations
        for term, count in ((equation.total_name, equation.total), *equation.terms.items())
    }
    values[metric.EQUATION_BALANCED] = {(equation.name,): int(equation.missing == 0) for equation in status.equations}
    return values


def _count(names: tuple[str, ...] | None) -> int | None:
    return None if names is None else len(names)
