"""A real OpenTelemetry Collector in its own process, with the configurations of `deploy/collector`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Final, Self

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from servers.programs import Program, listens

from support.processor import PATIENCE_SECONDS, Answer, http_request

CONFIGURATIONS: Final = Path(__file__).parents[2] / "deploy/collector"
_DOORS: Final = ("OTLP_GRPC", "OTLP_HTTP", "HEALTH", "FIRST", "SECOND")
_FIRST_PORT, _PORTS_A_WORKER = 20_000, 1_000
_GRPC_COMPRESSIONS: Final = {"gzip": grpc.Compression.Gzip, "none": grpc.Compression.NoCompression}


@cache
def _ports() -> Iterator[int]:
    """The ports of this worker of pytest-xdist, each once before any comes again, in an order of this run's own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
    start = _FIRST_PORT + worker * _PORTS_A_WORKER
    return cycle(random.sample(range(start, start + _PORTS_A_WORKER), _PORTS_A_WORKER))


def free_address() -> str:
    """An address that stays free while nobody listens on it: where the system takes no ports for outgoing connections.

    Nobody else in these tests has got it and is still to listen there.
    """
    return f"127.0.0.1:{next(port for port in _ports() if not listens(port))}"


class Collector:
    """A Collector over a storage folder; it may be started again after it has stopped or was killed.

    `settings` are OTELCOL_* variables by their short names; `also` are further arguments of the program.
    """

    def __init__(self, binary: Path, configuration: str, folder: Path, *also: str, **settings: str) -> None:
        self.binary = binary
        self.configuration = CONFIGURATIONS / configuration
        self.log_path = folder / "collector.log"
        self.addresses = {door: free_address() for door in _DOORS}
        self.metrics_address = free_address()
        values = {
            **self.addresses,
            "METRICS_PORT": self.metrics_address.rpartition(":")[2],
            "STORAGE": str(folder / "queue"),
            **settings,
        }
        self.environment = {f"OTELCOL_{name}": value for name, value in values.items()}
        self._also = also
        self._program: Program | None = None
        folder.mkdir(parents=True, exist_ok=True)

    # -- Life ------------------------------------------------------------------------------------------------

    def validate(self) -> subprocess.CompletedProcess[str]:
        """Let the program judge its configuration without running it."""
        return subprocess.run(
            [self.binary, "validate", "--config", self.configuration, *self._also],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def start(self) -> Self:
        """Start it, and come back when it says that it is healthy."""
        command = [self.binary, "--config", self.configuration, *self._also]
        self._program = Program(command, log=self.log_path, environment=self.environment)
        self._program.wait_until(lambda: http_request(self.addresses["HEALTH"], "GET", "/").status == 200)
        return self

    def stop(self) -> None:
        """SIGTERM: it must end well."""
        assert self._take_program().stop() == 0, self.log[-4000:]

    def kill(self) -> None:
        """SIGKILL: nothing that it holds in memory is left."""
        assert self._take_program().kill() == 128 + signal.SIGKILL

    def abandon(self) -> None:
        """End it if it runs."""
        if self._program is not None:
            self._take_program().kill()

    def _take_program(self) -> Program:
        program, self._program = self._program, None
        assert program is not None
        return program

    # -- Sending ---------------------------------------------------------------------------------------------

    def post(self, body: bytes) -> Answer:
        """POST to /v1/traces, whatever comes back."""
        headers = {"content-type": "application/x-protobuf"}
        return http_request(self.addresses["OTLP_HTTP"], "POST", "/v1/traces", body, headers)

    def take(self, body: bytes) -> None:
        """Send a request that must be acknowledged."""
        answer = self.post(body)
        assert answer.status == 200, (answer, self.log[-4000:])

    @contextmanager
    def tracing(
        self, protocol: str, resource: Mapping[str, str], compression: str = "none"
    ) -> Iterator[TracerProvider]:
        """A provider that sends here by the real exporter; all is acknowledged at the end."""
        exporter: HttpExporter | GrpcExporter
        if protocol == "grpc":
            exporter = GrpcExporter(
                endpoint=f"http://{self.addresses['OTLP_GRPC']}",
                insecure=True,
                compression=_GRPC_COMPRESSIONS[compression],
            )
        else:
            endpoint = f"http://{self.addresses['OTLP_HTTP']}/v1/traces"
            exporter = HttpExporter(endpoint=endpoint, compression=Compression(compression))
        provider = TracerProvider(resource=Resource(resource), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=1 << 16))
        try:
            yield provider
            assert provider.force_flush()
        finally:
            provider.shutdown()

    # -- Looking ---------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Of its process, while it runs."""
        assert self._program is not None
        return self._program.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    @property
    def queued_bytes(self) -> float:
        """What it has acknowledged and the processors have not."""
        return self._sum("otelcol_exporter_queue_size")

    @property
    def dropped_spans(self) -> float:
        """What was acknowledged and will never be sent."""
        return self._sum("otelcol_exporter_send_failed_spans_total")

    def samples(self, metric: str) -> list[Sample]:
        """What it tells of a metric now, a sample for each set of labels; none before anything was counted."""
        body = http_request(self.metrics_address, "GET", "/metrics").body.decode()
        families = text_string_to_metric_families(body)
        return [sample for family in families for sample in family.samples if sample.name == metric]

    def _sum(self, metric: str) -> float:
        """A metric's sum over the exporters that have a queue; 0 where nothing was counted yet."""
        samples = self.samples(metric)
        return sum(sample.value for sample in samples if sample.labels["exporter"].startswith("otlp_grpc"))
