"""OpenTelemetry instrumentation plugin: an agent orchestrator's tasks as spans with structured attributes.

Without a line of code: `opentelemetry-instrument python -m arbiter`, with the callables named in `OTEL_BENCHMARK_*`
variables (`environment.py`). With code: `task, route, execution, tool_call, evaluation` (`lifecycle.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_benchmark.lifecycle import Recording, evaluation, execution, route, task, tool_call

__all__ = ["Recording", "evaluation", "execution", "route", "task", "tool_call"]


def __getattr__(name: str) -> object:
    # The processor imports `otel_benchmark.attributes` alone, which must not cost it the OpenTelemetry API.
    if name in __all__:
        from otel_benchmark import lifecycle  # noqa: PLC0415 - see above

        return getattr(lifecycle, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
