"""Both receivers in an event loop of their own, in front of an intake that keeps what it accepts in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import grpc
import pytest
import uvloop
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from collector_processor.assemble import records, wire
from collector_processor.model.stages import Fragment, Receipt, Signal
from collector_processor.receive.admission import Admission, Limits
from collector_processor.receive.otlp_grpc import GrpcReceiver
from collector_processor.receive.otlp_http import HttpReceiver

SPLITS = {Signal.TRACES: wire.split, Signal.LOGS: records.split}
LIMITS = Limits(max_request_bytes=2_000_000, max_json_bytes=100_000)


class MemoryIntake:
    """Splits requests for real and keeps their fragments. `errors` are raised first, one a request."""

    def __init__(self) -> None:
        self.fragments: list[Fragment] = []
        self.errors: list[Exception] = []
        self.requests = 0
        self.hold: asyncio.Event | None = None

    async def accept(self, body: bytes, signal: Signal) -> Receipt:
        self.requests += 1
        if self.hold:
            await self.hold.wait()
        if self.errors:
            raise self.errors.pop(0)
        split = SPLITS[signal](body)
        self.fragments.extend(split.fragments)
        rejected = sum(rejection.spans for rejection in split.rejections)
        return Receipt(rejected, "; ".join(f"{count} spans: {reason}" for count, reason in split.rejections))

    @property
    def records(self) -> list[LogRecord]:
        return [
            record
            for fragment in self.fragments
            for resource in LogsData.FromString(fragment.payload).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for fragment in self.fragments
            for resource in TracesData.FromString(fragment.payload).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Loop:
    """A uvloop in a thread, so that blocking exporters may be used in tests."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Awaitable[Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(_await(work), self._loop).result(60)

    def call(self, function: Callable[[], Any]) -> Any:
        async def work() -> Any:
            return function()

        return self.run(work())

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _await(work: Awaitable[Any]) -> Any:
    return await work


class Receivers(NamedTuple):
    intake: MemoryIntake
    admission: Admission
    http: str
    grpc: str


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def memory_intake() -> type[MemoryIntake]:
    """For receivers of a test's own."""
    return MemoryIntake


@pytest.fixture(scope="session")
def servers(loop: Loop) -> Iterator[Receivers]:
    intake, admission = MemoryIntake(), Admission(4_000_000)
    http = loop.call(lambda: HttpReceiver(intake, admission, LIMITS, "COLLECTOR_PROCESSOR_OTLP_HTTP"))
    grpc_ = GrpcReceiver(intake, admission, LIMITS, "COLLECTOR_PROCESSOR_OTLP_GRPC")
    ports = loop.run(http.start("127.0.0.1", 0)), loop.run(grpc_.start("127.0.0.1", 0))
    yield Receivers(intake, admission, f"http://127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
    loop.run(http.stop(1))
    loop.run(grpc_.stop(1))


@pytest.fixture
def receivers(servers: Receivers) -> Iterator[Receivers]:
    """The servers with an intake that has seen nothing; at the end nothing may be held."""
    vars(servers.intake).update(vars(MemoryIntake()))
    yield servers
    assert servers.admission.bytes_in_flight == 0


@pytest.fixture
def export(receivers: Receivers) -> Iterator[Callable[..., Any]]:
    """The raw gRPC method: bytes in, bytes out."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(receivers.grpc, options=options) as channel:
        yield channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export", bytes, bytes)
