"""A real OTLP receiver on loopback, and applications run under a real `opentelemetry-instrument`."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

HERE = Path(__file__).parent


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


@dataclass
class Received:
    """A span as it came over the wire."""

    span: Span
    scope: str
    service: str
    peer: str
    """The other end of the connection that it came over."""

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def word(self) -> str:
        return self.span.name.split(" ")[0]

    @property
    def attributes(self) -> dict[str, Any]:
        return {pair.key: plain(pair.value) for pair in self.span.attributes}

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        return [(e.name, {pair.key: plain(pair.value) for pair in e.attributes}) for e in self.span.events]


@dataclass
class Receiver:
    """Keeps what was sent to it."""

    url: str
    spans: list[Received] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    """What an HTTP receiver answers; it keeps nothing of what it refuses, and asks for a second's delay."""
    at_work: threading.Event = field(default_factory=threading.Event)
    """While it isn't set, an HTTP receiver reads requests and answers none."""

    def __post_init__(self) -> None:
        self.at_work.set()

    def take(self, request: ExportTraceServiceRequest, headers: dict[str, str], peer: str) -> None:
        self.headers.append(headers)
        for resource in request.resource_spans:
            service = {p.key: plain(p.value) for p in resource.resource.attributes}.get("service.name", "")
            for scope in resource.scope_spans:
                self.spans += [Received(span, scope.scope.name, service, peer) for span in scope.spans]

    def named(self, word: str) -> list[Received]:
        return sorted((s for s in self.spans if s.word == word), key=lambda s: s.span.start_time_unix_nano)

    def one(self, word: str) -> Received:
        (found,) = self.named(word)
        return found


@pytest.fixture
def http_receiver() -> Iterator[Callable[[], Receiver]]:
    servers: list[ThreadingHTTPServer] = []
    receivers: list[Receiver] = []

    def start() -> Receiver:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # connections stay open, as those to a real receiver

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                receiver.at_work.wait()
                if receiver.status == HTTPStatus.OK:
                    headers = {k.lower(): v for k, v in self.headers.items()}
                    receiver.take(ExportTraceServiceRequest.FromString(body), headers, str(self.client_address))
                reply = ExportTraceServiceResponse().SerializeToString()
                self.send_response(receiver.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(reply)))
                if receiver.status != HTTPStatus.OK:
                    self.send_header("Retry-After", "1")
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        receivers.append(receiver)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return receiver

    yield start
    for receiver in receivers:
        receiver.at_work.set()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def grpc_receiver() -> Iterator[Receiver]:
    server = grpc.server(ThreadPoolExecutor(2))
    receiver = Receiver(f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")

    class Service(TraceServiceServicer):
        def Export(  # noqa: N802 - gRPC calls it by this name
            self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
        ) -> Any:
            headers = {key: str(value) for key, value in context.invocation_metadata()}
            receiver.take(request, headers, context.peer())
            return ExportTraceServiceResponse()

    add_TraceServiceServicer_to_server(Service(), server)
    server.start()
    yield receiver
    server.stop(None).wait()


def environment(**environ: str) -> dict[str, str]:
    """Exactly these variables of OpenTelemetry's, this interpreter's programs, and our modules in the path."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "PYTHON"))}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parents[1]))),
        "OTEL_SERVICE_NAME": "arbiter",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        **environ,
    }


@pytest.fixture
def served(tmp_path: Path) -> Callable[..., AbstractContextManager[subprocess.Popen[str]]]:
    """Runs `opentelemetry-instrument SERVER …` with exactly these variables, and kills what is left of it."""

    @contextmanager
    def run(*command: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            ["opentelemetry-instrument", *command],
            env=environment(**environ),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    return run


@pytest.fixture
def instrumented(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `opentelemetry-instrument python …` with the arbiter in its path and exactly these variables.

    Each of `steps` is called when the application has printed a line, and then gives it a line to read.
    """

    def run(
        *command: str, check: bool = True, steps: Sequence[Callable[[], object]] = (), **environ: str
    ) -> subprocess.CompletedProcess[str]:
        with subprocess.Popen(
            ["opentelemetry-instrument", sys.executable, *command],
            env=environment(**environ),
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdin is not None
                for step in steps:
                    assert process.stdout.readline() == "?\n"
                    step()
                    process.stdin.write("\n")
                    process.stdin.flush()
                stdout, stderr = process.communicate(timeout=90)
            except BaseException:
                process.kill()
                raise
        assert not check or process.returncode == 0, stderr
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)

    return run
