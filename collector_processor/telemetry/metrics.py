"""What a process counts as it works. Each metric is defined here, once; it starts at zero with the process.

What must survive a restart is not counted here: see `snapshot`.
"""

from __future__ import annotations

from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

NAMESPACE: Final = "otel_benchmark"
CONTENT_TYPE: Final = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4
REGISTRY: Final = CollectorRegistry(auto_describe=False)
ProcessCollector(registry=REGISTRY)
# Without this every counter gets a second series that nobody asks for. (The function has no annotations.)
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# -- Receive ---------------------------------------------------------------------------------------

REQUESTS: Final = Counter(
    "requests",
    "OTLP requests answered. outcome: ok, partial, malformed, too_large, unauthenticated, overloaded, failed.",
    ("protocol", "signal", "outcome"),
    namespace=NAMESPACE,
    registry=REGISTRY,
)
REQUEST_SECONDS: Final = Histogram(
    "request_duration_seconds",
    "From the whole request read to the answer given; a success includes the durable write.",
    ("protocol", "signal"),
    namespace=NAMESPACE,
    registry=REGISTRY,
    buckets=_FAST,
)
REQUEST_BYTES: Final = Counter(
    "request_bytes",
    "Bytes of OTLP requests after decompression.",
    ("protocol", "signal"),
    namespace=NAMESPACE,
    registry=REGISTRY,
)
INFLIGHT_BYTES: Final = Gauge(
    "inflight_bytes", "Bytes of the requests that are held right now.", namespace=NAMESPACE, registry=REGISTRY
)

RELOADS: Final = Counter(
    "reloads",
    "Files of certificates and tokens that were read again because they changed. outcome: ok, failed.",
    ("setting", "outcome"),
    namespace=NAMESPACE,
    registry=REGISTRY,
)
CERTIFICATE_EXPIRY: Final = Gauge(
    "certificate_expiry_timestamp_seconds",
    "When the certificate of the listeners expires; 0 without one.",
    namespace=NAMESPACE,
    registry=REGISTRY,
)

# -- Journal ---------------------------------------------------------------------------------------

COMMIT_SECONDS: Final = Histogram(
    "journal_commit_duration_seconds",
    "One group commit that changed something, its sync included.",
    namespace=NAMESPACE,
    registry=REGISTRY,
    buckets=_FAST,
)
COMMIT_OPERATIONS: Final = Histogram(
    "journal_commit_operations",
    "Requests, timers and completed batches that one group commit made durable.",
    namespace=NAMESPACE,
    registry=REGISTRY,
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)

# -- Convert, guard, store -------------------------------------------------------------------------

BATCHES: Final = Counter(
    "batches",
    "Sealed batches handed to a worker. outcome: stored, again (it failed and stays sealed), fallback.",
    ("outcome",),
    namespace=NAMESPACE,
    registry=REGISTRY,
)
BATCH_SECONDS: Final = Histogram(
    "batch_duration_seconds",
    "A worker's time for one batch. stage: read, convert (guard included), store.",
    ("stage",),
    namespace=NAMESPACE,
    registry=REGISTRY,
    buckets=_SLOW,
)
WORKER_RESTARTS: Final = Counter(
    "worker_restarts", "Worker processes that ended and were started again.", namespace=NAMESPACE, registry=REGISTRY
)

# -- Deep analysis ---------------------------------------------------------------------------------

DEEP_SAMPLES: Final = Counter(
    "deep_samples",
    "Deep samples stored. status: complete, partial, empty, failed, shed; reason: why it isn't complete, else empty.",
    ("facet", "status", "reason"),
    namespace=NAMESPACE,
    registry=REGISTRY,
)
ANALYSIS_SECONDS: Final = Histogram(
    "analysis_duration_seconds",
    "An analyst's time for one facet of one task.",
    ("facet",),
    namespace=NAMESPACE,
    registry=REGISTRY,
    buckets=_SLOW,
)

# -- Forward ---------------------------------------------------------------------------------------

FORWARDED_SPANS: Final = Counter(
    "forwarded_spans",
    "Spans on their way to the backend. outcome: sent, sampled_out, or why it was dropped (forward/README.md).",
    ("outcome",),
    namespace=NAMESPACE,
    registry=REGISTRY,
)


def refused_requests() -> float:
    """Requests that were told to come back because there was no room."""
    samples = (sample for family in REQUESTS.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.labels["outcome"] == "overloaded")


def exposition() -> bytes:
    """All metrics and snapshots in the Prometheus text format, of type CONTENT_TYPE."""
    return prometheus_client.generate_latest(REGISTRY)
