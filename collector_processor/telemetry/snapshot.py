"""Metrics whose truth lies elsewhere: counted durably by journal and ledger, read at scrape time.

The app registers one function that returns the values it knows: `{JOURNAL_BYTES: 4096, OPEN_TASKS: 3}`. A family
that it leaves out is absent from the exposition: unknown is not zero. Names follow the seed's CollectionMetrics
where it has them, with the unit at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collector_processor.telemetry.logs import get_logger
from collector_processor.telemetry.metrics import NAMESPACE, REGISTRY

log = get_logger(__name__)


class Family(NamedTuple):
    """One metric: name without namespace, what it says, its labels, whether it may only grow."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"


Labelled = Mapping[tuple[str, ...], float]
Snapshot = Mapping[Family, float | Labelled]
"""Values by family: a number, or for a family with labels a number by the labels' values in order."""

# -- Collection, as the seed names it --------------------------------------------------------------

DATA_POINTS_COLLECTED_TODAY: Final = Family("data_points_collected_today", "Records of tasks since midnight UTC.")
DATA_POINTS_PER_HOUR: Final = Family("data_points_per_hour", "Records of tasks of the last 60 minutes.")
TOTAL_DATA_POINTS: Final = Family("total_data_points", "Records in the database, discarded ones excepted.")
VALIDATION_FAILURE_RATE: Final = Family("validation_failure_rate", "Share of records that failed a gate, 0..1.")
PRIVACY_VIOLATIONS: Final = Family(
    "privacy_violations", "Personal data or secrets found in a stored record.", kind="counter"
)
DUPLICATE_RATE: Final = Family("duplicate_rate", "Share of the received spans that were sent again, 0..1.")
AGENTS_COVERED: Final = Family("agents_covered", "Agents with at least one record.")
TASK_TYPES_COVERED: Final = Family("task_types_covered", "Task types with at least one record.")
COMPLEXITY_DISTRIBUTION: Final = Family("complexity_distribution", "Records by complexity.", ("complexity",))
AVG_COLLECTION_LATENCY: Final = Family(
    "avg_collection_latency_seconds", "Mean time a task that the plugin reports having spent in its own wrappers."
)
BUFFER_FLUSH_RATE: Final = Family("buffer_flush_rate_per_minute", "Batches stored per minute, over the last hour.")
STORAGE_GROWTH_RATE: Final = Family("storage_growth_rate_bytes_per_day", "Growth of the database.")

# -- Where data is ---------------------------------------------------------------------------------

HEALTH: Final = Family("health", "1 for the state that holds: ok, degraded or failed.", ("state",))
HEALTH_CONDITION: Final = Family("health_condition", "1 for each that holds (deploy/README.md).", ("condition",))
JOURNAL_BYTES: Final = Family("journal_bytes", "Live bytes of the journal.")
JOURNAL_MAX_BYTES: Final = Family("journal_max_bytes", "The journal's limit: full, it refuses requests.")
JOURNAL_SECONDS_TO_FULL: Final = Family("journal_seconds_to_full", "Until the journal is full, as it grows now.")
OPEN_TASKS: Final = Family("open_tasks", "Tasks that wait for their end or their grace.")
OPEN_TRACES: Final = Family("open_traces", "Traces with spans that are not sealed.")
MAX_OPEN_TRACES: Final = Family("max_open_traces", "So many may be open: above, foreign ones are shed.")
OPEN_SPANS: Final = Family("open_spans", "Spans in the journal that are not sealed.")
MAX_OPEN_SPANS: Final = Family("max_open_spans", "So many may be open: above, foreign ones are shed.")
OLDEST_OPEN_TASK: Final = Family("oldest_open_task_seconds", "Age of the oldest task that is open.")
CLOSED_TASKS: Final = Family("closed_tasks", "Tasks that are complete and wait to be sealed.")
SEALED_BATCHES: Final = Family("sealed_batches", "Batches that are sealed and not yet stored.")
SEALED_TASKS: Final = Family("sealed_tasks", "Tasks in those batches.")
WAITING_FACTS: Final = Family("waiting_facts", "Facts in the database that came before their task.")
OLDEST_WAITING: Final = Family("oldest_waiting_seconds", "How long the oldest of them has waited.")
DATABASE_UP: Final = Family("database_up", "1 if the database answered the last time it was asked.")
DATABASE_LAG: Final = Family("database_lag_seconds", "Age of the oldest batch that is sealed and not yet stored.")
PENDING_SAMPLES: Final = Family("pending_deep_samples", "Deep facets that were kept and are still to be analysed.")
OLDEST_PENDING_SAMPLE: Final = Family(
    "oldest_pending_deep_sample_seconds", "For how long the oldest of them has waited; absent where none does."
)
ANALYSIS_BYTES: Final = Family("analysis_bytes", "What the journal keeps for pending analyses.")
ANALYSIS_UP: Final = Family("analysis_up", "1 if analysts and database took the last analysis, or none was due yet.")
FALLBACK_BYTES: Final = Family("fallback_bytes", "Files that wait for the database.")
FALLBACK_BATCHES: Final = Family("fallback_batches", "Batches in those files.")
FALLBACK_IMPORTED: Final = Family("fallback_imported_batches", "Batches that came back from there.", kind="counter")
FALLBACK_DAMAGED_LINES: Final = Family("fallback_damaged_lines", "Tasks lost there to damage.", kind="counter")
FORWARD_UP: Final = Family("forward_up", "1 if the backend took the last request, or none was sent yet.")
FORWARD_WAITING_BYTES: Final = Family("forward_waiting_bytes", "Held of traces on their way to the backend.")
PRIVACY_TEXTS: Final = Family("privacy_texts", "Texts searched for personal data and credentials.", kind="counter")
PRIVACY_REPLACED: Final = Family(
    "privacy_replaced", "Places of texts that gave way to a pseudonym.", ("category",), kind="counter"
)
PRIVACY_WITHHELD: Final = Family(
    "privacy_withheld", "Texts left out instead of being passed unread.", ("reason",), "counter"
)
FORWARD_TEXTS: Final = Family(
    "forward_privacy_texts", "Texts of forwarded traces searched for personal data and credentials.", kind="counter"
)
FORWARD_REPLACED: Final = Family(
    "forward_privacy_replaced", "Places of forwarded texts that gave way to a pseudonym.", ("category",), kind="counter"
)
FORWARD_WITHHELD: Final = Family(
    "forward_privacy_withheld", "Forwarded texts left out instead of being passed unread.", ("reason",), "counter"
)
PRIVACY_HELD_BYTES: Final = Family(
    "privacy_held_bytes", "What the journal holds of a source that is halted after a violation.", ("source",)
)
PRIVACY_SECONDS_TO_FULL: Final = Family(
    "privacy_held_seconds_to_full", "Until such a source's share is full, as it sends now.", ("source",)
)
BUILD_INFO: Final = Family("build_info", "Always 1; the label tells what runs.", ("version",))

# -- Equations -------------------------------------------------------------------------------------

EQUATION_TERM: Final = Family("equation_term", "A term of an equation over spans or records.", ("equation", "term"))
EQUATION_BALANCED: Final = Family("equation_balanced", "1 if an equation's two sides are equal.", ("equation",))


def register_snapshot(read: Callable[[], Snapshot]) -> Callable[[], None]:
    """Expose what `read` returns at each scrape.

    `read` must be quick and must not block. If it raises, the error is logged and `otel_benchmark_snapshot_up` is
    0 while the other metrics are still served. Returns the function that ends it.
    """
    collector = _SnapshotCollector(read)
    REGISTRY.register(collector)
    return lambda: REGISTRY.unregister(collector)


class _SnapshotCollector(Collector):
    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._read = read

    def describe(self) -> Iterator[Metric]:
        # Known in advance, so that a second snapshot in the same process is refused instead of mixed in.
        yield _family(_UP, {})

    def collect(self) -> Iterator[Metric]:
        try:
            families = [_family(family, value) for family, value in self._read().items()]
        except Exception:
            log.exception("metrics: the snapshot could not be read")
            yield _family(_UP, 0.0)
            return
        yield from families
        yield _family(_UP, 1.0)


_UP: Final = Family("snapshot_up", "1 if journal and database could be asked for their counts.")


def _family(family: Family, value: float | Labelled) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric: CounterMetricFamily | GaugeMetricFamily = kind(
        f"{NAMESPACE}_{family.name}", family.help, labels=family.labels
    )
    for labels, number in value.items() if isinstance(value, Mapping) else [((), value)]:
        if len(labels) != len(family.labels):
            raise ValueError(f"metric {family.name} has the labels {family.labels}, not {labels!r}")
        metric.add_metric(labels, number)
    return metric
