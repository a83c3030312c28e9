"""Telemetry of the processor itself: structured logs on stderr and Prometheus metrics.

Any stage may import it. `logs` configures and hands out loggers; `metrics` defines what a process counts as it
works; `snapshot` exposes what the journal and the database already count durably, so nothing is kept twice. The front
alone counts, so the other processes never load the latter two.
"""

from collector_processor.telemetry.logs import configure, get_logger

__all__ = ["configure", "get_logger"]
