"""The Collector of the tests hands on what it gets, and has the parts that its configurations name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from servers.programs import free_ports, listens, running

PARTS = {
    "receivers": {"otlp"},
    "processors": {"batch", "groupbytrace", "memory_limiter", "tail_sampling"},
    "exporters": {"file", "load_balancing", "otlp_grpc", "otlp_http"},
    "extensions": {"file_storage", "health_check"},
}

CONFIGURATION = """
receivers:
  otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}"}}}}}}
exporters:
  file: {{path: "{output}"}}
service:
  pipelines: {{traces: {{receivers: [otlp], exporters: [file]}}}}
  telemetry: {{metrics: {{level: none}}}}
"""


def test_a_span_goes_through_into_a_file(collector_binary: Path, tmp_path: Path) -> None:
    [port] = free_ports(1)
    output, configuration = tmp_path / "traces.json", tmp_path / "collector.yaml"
    configuration.write_text(CONFIGURATION.format(port=port, output=output))
    command = [collector_binary, "--config", configuration]
    with running(command, ready=lambda: listens(port), log=tmp_path / "collector.log") as collector:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"127.0.0.1:{port}", insecure=True)))
        provider.get_tracer("tests").start_span("task").end()
        provider.shutdown()
        assert collector.stop() == 0, collector.said()
    [resource] = json.loads(output.read_text())["resourceSpans"]
    assert [span["name"] for scope in resource["scopeSpans"] for span in scope["spans"]] == ["task"]


def test_the_parts_that_configurations_name_are_there(collector_binary: Path) -> None:
    done = subprocess.run([collector_binary, "components"], capture_output=True, text=True, check=True)
    found: dict[str, set[str]] = {}
    section = ""
    for line in done.stdout.splitlines():
        if line.startswith("    - name: "):
            found[section].add(line.removeprefix("    - name: "))
        elif not line.startswith(" "):
            section = line.removesuffix(":")
            found[section] = set()
    assert PARTS.items() <= found.items()
