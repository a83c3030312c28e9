"""What turns the arbiter's process into one that is recorded: environment variables, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ARBITER = "collector_processor.demo.arbiter"
MAPPING = Path(__file__).parent / "arbiter" / "mapping.toml"
SAMPLING = Path(__file__).parent / "sampling.toml"
SERVICE_NAME = "demo-arbiter"

TARGETS: Mapping[str, tuple[str, ...]] = {
    "OTEL_BENCHMARK_TASK": ("service:Arbiter.handle", "service:Arbiter.handle_async"),
    "OTEL_BENCHMARK_ROUTE": ("router:Router.route",),
    "OTEL_BENCHMARK_EXECUTE": ("agents:Agent.perform", "agents:Agent.perform_async"),
    "OTEL_BENCHMARK_TOOL": ("tools:Toolbox.call", "tools:Toolbox.call_async"),
    "OTEL_BENCHMARK_EVALUATE": ("evaluator:Evaluator.evaluate",),
}
"""What is wrapped, relative to the arbiter's package."""


def instrumented_environment(otlp_http: str, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the instrumented arbiter.

    Args:
        otlp_http: where the processor receives OTLP over HTTP, `host:port`.
        base: the environment to start from; other settings of the OpenTelemetry SDK in it are dropped, so that the
            demonstration does the same everywhere.
    """
    kept = {name: value for name, value in base.items() if not name.startswith("OTEL_")}
    kept |= {name: value for name, value in base.items() if name == "OTEL_BENCHMARK_TENANT_KEY"}
    return {
        **kept,
        **{variable: ",".join(f"{ARBITER}.{target}" for target in targets) for variable, targets in TARGETS.items()},
        "OTEL_BENCHMARK_MAPPING": str(MAPPING),
        "OTEL_SERVICE_NAME": SERVICE_NAME,
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",  # what deep samples are made of
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{otlp_http}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        # The distro turns these two on; the demonstration has nobody who receives them.
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        # The SDK's default queue of 2,048 spans overflows when a burst meets a slow second of the machine.
        "OTEL_BSP_MAX_QUEUE_SIZE": "16384",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
    }
