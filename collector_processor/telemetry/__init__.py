"""Telemetry of the processor itself: structured logs on stderr and Prometheus metrics.

Any stage may import it. `logs` configures and hands out loggers; `metrics` defines what a process counts as it
works; `snapshot` exposes what the journal and the database already count durably, so nothing is kept twice.
"""

from collector_processor.telemetry import metrics
from collector_processor.telemetry.logs import configure, get_logger
from collector_processor.telemetry.metrics import CONTENT_TYPE, exposition
from collector_processor.telemetry.snapshot import Family, Snapshot, register_snapshot

__all__ = [
    "CONTENT_TYPE",
    "Family",
    "Snapshot",
    "configure",
    "exposition",
    "get_logger",
    "metrics",
    "register_snapshot",
]
