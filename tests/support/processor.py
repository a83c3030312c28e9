"""A real processor in its own process, as `otel-benchmark serve` runs it, and ways to talk to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
import psutil
import psycopg
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from psycopg.rows import dict_row

from collector_processor.app.control import ask
from collector_processor.app.reporting.status import Equation, Status
from otel_benchmark import attributes as names
from support.lifecycle import evaluation, execution, foreign, payload, route, task, tool_call
from support.logs import logs_payload

SETTINGS = {
    "GRACE": "1s",
    "FLUSH_INTERVAL": "50ms",
    "STORE_PAUSE": "250ms",
    "OTLP_GRPC": "127.0.0.1:0",
    "OTLP_HTTP": "127.0.0.1:0",
    "ADMIN": "127.0.0.1:0",
    "LOG_FORMAT": "json",
    "SAMPLING": str(Path(__file__).with_name("no_sampling.toml")),
    # The tasks of tests are always of the same day.
    "RETAIN_RECORDS": "36500d",
}
PATIENCE_SECONDS = float(os.environ.get("PATIENCE_SECONDS", "60"))
"""For what must happen; what takes longer failed. Long runs beside other work have more of it."""


class Answer(NamedTuple):
    """Of an HTTP request; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Processor:
    """`otel-benchmark serve` over a data directory; it may be started again after it has stopped or was killed.

    `settings` are COLLECTOR_PROCESSOR_* variables by their short names.
    """

    def __init__(self, data_dir: Path, database_url: str, **settings: str) -> None:
        self.data_dir = data_dir
        self.database_url = database_url
        self.log_path = data_dir.with_name(data_dir.name + ".log")
        self.ready: dict[str, Any] = {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COLLECTOR_PROCESSOR_")}
        values = SETTINGS | {"DATA_DIR": str(data_dir), "DATABASE_URL": database_url} | settings
        self.environment = kept | {f"COLLECTOR_PROCESSOR_{name}": value for name, value in values.items()}
        self._process: subprocess.Popen[str] | None = None

    # -- Life ------------------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> Self:
        """Start it; with `wait`, come back when it has said that it is ready."""
        with self.log_path.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                self.command("serve"), env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        if wait:
            self.wait_for_ready_line()
        return self

    def wait_for_ready_line(self) -> None:
        process = self.process
        timer = threading.Timer(PATIENCE_SECONDS, process.kill)
        timer.start()
        assert process.stdout is not None
        line = process.stdout.readline()
        timer.cancel()
        assert line, f"the processor did not start:\n{self.log}"
        self.ready = json.loads(line)

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end: it must end well and leave nothing running or lying about. Ports end with processes."""
        if self._process is None:
            return
        children = self.workers
        self.process.send_signal(number)
        assert self._end() == 0, self.log
        assert all(map(ended, children)), "a worker outlived its front"
        assert not list((self.data_dir / "control").iterdir())

    def kill(self) -> list[psutil.Process]:
        """SIGKILL to the front alone; its workers, which must notice by themselves."""
        children = self.workers
        self.process.kill()
        self._end()
        return children

    def _end(self) -> int:
        process = self.process
        try:
            return process.wait(PATIENCE_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
            self._process = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.abandon()
            raise

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.stop()
        else:
            self.abandon()

    def abandon(self) -> None:
        """After a failure: nothing may be left, and the failure itself is the one to be seen."""
        if self._process is not None:
            self._process.kill()
            self._end()

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    # -- Commands --------------------------------------------------------------------------------------------

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "collector_processor.cli", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an `otel-benchmark` command with the processor's settings."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def ask(self, command: str, **arguments: Any) -> Any:
        return ask(self.data_dir, command, arguments, timeout=PATIENCE_SECONDS)

    def status(self) -> Status:
        return msgspec.convert(self.ask("status"), Status)

    def flush(self) -> int:
        """Close and store now what can be; how many tasks that were."""
        sealed: int = self.ask("flush")["sealed"]
        return sealed

    def settle(self) -> Status:
        """Wait until every task whose span has come is stored, by its timers alone."""
        return self.wait_for(
            lambda status: not (status.place.open_tasks or status.place.closed_tasks or status.place.sealed_batches)
        )

    def wait_for(self, condition: Callable[[Status], object]) -> Status:
        """Wait until the status is as wanted."""
        statuses: list[Status] = []

        def holds() -> object:
            statuses.append(self.status())
            return condition(statuses[-1])

        wait_until(holds)
        return statuses[-1]

    def terms(self, equation: str = "journal spans") -> dict[str, int]:
        """An equation's terms, its total among them."""
        status = self.fresh_status() if equation == "database spans" else self.status()
        found = {each.name: each for each in status.equations}[equation]
        return {found.total_name: found.total, **found.terms}

    def fresh_status(self) -> Status:
        """A status whose database was asked for it: one that answers slowly is not asked at each question."""
        began = time.monotonic()
        statuses: list[Status] = []

        def fresh() -> bool:
            now = time.monotonic()
            statuses.append(self.status())
            age = statuses[-1].database.asked_seconds_ago
            return age is not None and now - age >= began

        wait_until(fresh)
        return statuses[-1]

    def assert_balanced(self) -> None:
        """Everything is in exactly one place, and journal and database agree on what passed between them."""
        equations = {equation.name: equation for equation in self.fresh_status().equations}
        assert set(equations) == {"journal spans", "records", "deep samples", "database spans"}
        assert {name: each.missing for name, each in equations.items()} == dict.fromkeys(equations, 0), equations
        handed_over(equations["journal spans"], equations["database spans"])

    # -- Sending ---------------------------------------------------------------------------------------------

    def post(self, body: bytes, content_type: str = "application/x-protobuf") -> Answer:
        """POST to /v1/traces, whatever comes back."""
        return http_request(self.ready["otlp_http"], "POST", "/v1/traces", body, {"content-type": content_type})

    def send_logs(self, *records: LogRecord, **source: Any) -> None:
        """Send log records in one request, which must be taken whole; `source` goes to `logs_payload`."""
        body, headers = logs_payload(records, **source), {"content-type": "application/x-protobuf"}
        answer = http_request(self.ready["otlp_http"], "POST", "/v1/logs", body, headers)
        assert (answer.status, answer.body) == (200, b""), (answer, self.log)

    def send(self, *spans: Span, **source: Any) -> ExportTracePartialSuccess:
        """Send spans in one request, which must be taken; `source` goes to `payload`."""
        return self.take(payload(spans, **source))

    def take(self, body: bytes) -> ExportTracePartialSuccess:
        """Send a request that must be taken, perhaps but for some spans."""
        answer = self.post(body)
        assert answer.status == 200, (answer, self.log)
        return ExportTraceServiceResponse.FromString(answer.body).partial_success

    def admin(self, path: str) -> Answer:
        return http_request(self.ready["admin"], "GET", path)

    @contextmanager
    def tracing(self, protocol: str, resource: Mapping[str, str], *also: Any) -> Iterator[TracerProvider]:
        """A provider that sends here by the real exporter; all is sent at the end. `also` are more span processors."""
        exporter: HttpExporter | GrpcExporter
        if protocol == "grpc":
            exporter = GrpcExporter(endpoint=f"http://{self.ready['otlp_grpc']}", insecure=True)
        else:
            exporter = HttpExporter(endpoint=f"http://{self.ready['otlp_http']}/v1/traces")
        provider = TracerProvider(resource=Resource(resource), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=1 << 16))
        for processor in also:
            provider.add_span_processor(processor)
        try:
            yield provider
            assert provider.force_flush()
        finally:
            provider.shutdown()

    @contextmanager
    def logging(self, protocol: str, resource: Mapping[str, str]) -> Iterator[LoggerProvider]:
        """The same for log records."""
        exporter: HttpLogExporter | GrpcLogExporter
        if protocol == "grpc":
            exporter = GrpcLogExporter(endpoint=f"http://{self.ready['otlp_grpc']}", insecure=True)
        else:
            exporter = HttpLogExporter(endpoint=f"http://{self.ready['otlp_http']}/v1/logs")
        provider = LoggerProvider(resource=Resource(resource), shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        try:
            yield provider
            assert provider.force_flush()
        finally:
            provider.shutdown()

    # -- Looking ---------------------------------------------------------------------------------------------

    def rows(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """Ask the database as its owner; views need no schema."""
        return select(self.database_url, query, **parameters)

    def stored_tasks(self) -> list[str]:
        """Ids of tasks that have a record."""
        return [row["task_id"] for row in self.rows("SELECT task_id FROM data_points")]

    def record(self, task_id: str) -> dict[str, Any]:
        """The record of the only data point of a task, in its wire form."""
        (row,) = self.rows("SELECT record FROM data_points WHERE task_id = %(task)s", task=task_id)
        record: dict[str, Any] = row["record"]
        return record


def listens(address: str) -> bool:
    """Whether somebody takes connections there."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def wait_until(condition: Callable[[], object]) -> None:
    """Come back when it holds, which it must before patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it didn't come about"
        time.sleep(0.02)


def wait_for_end(processes: Iterable[psutil.Process]) -> None:
    """Come back when all of them have ended by themselves."""
    wait_until(lambda: all(map(ended, processes)))


def ended(process: psutil.Process) -> bool:
    """Whether a process has ended; who adopted it may take its time to bury it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def select(database_url: str, query: str, **parameters: Any) -> list[dict[str, Any]]:
    with psycopg.connect(database_url, row_factory=dict_row, options="-c search_path=benchmark") as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def http_request(
    address: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        said = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, said, response.read())
    finally:
        connection.close()


def handed_over(journal: Equation, database: Equation) -> None:
    """What the journal says it handed over is what the database's ledger says it took."""
    assert journal.terms["handed_over"] == database.total


# -- Whose spans ---------------------------------------------------------------------------------------------


class Own(NamedTuple):
    """Spans with ids of their own, so that tests can share a processor."""

    trace_id: bytes
    task_id: str
    spans: list[Span]


def own(*spans: Span, task_id: str | None = None, trace_id: bytes | None = None) -> Own:
    """Copies of spans (of `support.lifecycle`) under a trace and a task id that no other test has."""
    trace_id = trace_id or uuid.uuid4().bytes
    task_id = task_id or f"task-{uuid.uuid4().hex[:12]}"
    return Own(trace_id, task_id, [_renamed(span, trace_id, task_id) for span in spans])


def whole_task(**more: Any) -> Own:
    """One of each lifecycle span and a foreign one; `more` goes to `own`."""
    return own(task(), route(), execution(), tool_call(), foreign(5), evaluation(), **more)


def _renamed(original: Span, trace_id: bytes, task_id: str) -> Span:
    span = Span()
    span.CopyFrom(original)
    span.trace_id = trace_id
    for attribute in span.attributes:
        if attribute.key == names.TASK_ID:
            attribute.value.CopyFrom(AnyValue(string_value=task_id))
    return span


def gates(record: Mapping[str, Any]) -> dict[str, str]:
    """The gates that a record failed: name → reason, of several severities one after the other."""
    failed: dict[str, str] = {}
    for gate in record["verdict"]["gatesFailed"]:
        failed[gate["gate"]] = "; ".join(filter(None, (failed.get(gate["gate"]), gate["reason"])))
    return failed


def anomalies(record: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What was cleaned in a record: (attribute, problem)."""
    return {(each["field"], each["problem"]) for each in record["facts"]["anomalies"]}


def fact_spans(record: Mapping[str, Any]) -> set[str]:
    """Span ids of all facts of a record."""
    facts: Mapping[str, Any] = record["facts"]
    groups: Iterable[Any] = ([facts["task"]], *(value for value in facts.values() if isinstance(value, list)))
    return {fact["spanId"] for group in groups for fact in group if "factId" in fact}
