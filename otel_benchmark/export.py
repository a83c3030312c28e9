"""A span processor of our own, for applications whose exporter goes elsewhere (`OTEL_BENCHMARK_ENDPOINT`).

Its queue is bounded, and foreign spans never displace lifecycle spans: a burst of 30,000 spans through the SDK's
default queue lost 47 %, records among them. The application never waits for it; drops are counted and logged once
a minute.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_benchmark.attributes import SCOPE_NAME, Kind
from otel_benchmark.environment import ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

    from otel_benchmark.environment import Settings

logger = logging.getLogger(__name__)

CAPACITY: Final = 16384
"""Spans held at most, both sorts together."""
BATCH: Final = 512
DELAY_S: Final = 1.0
_LOG_EVERY_S: Final = 60.0
_WORDS: Final = frozenset(kind.value for kind in Kind)


class PrioritySpanProcessor(SpanProcessor):
    """Queues ended spans and exports them from a thread of its own, lifecycle spans first.

    When the queue is full a lifecycle span takes the place of the oldest foreign one; a foreign span is dropped.
    `make_exporter` is called in that thread, when there is something to send: importing an exporter is heavy.
    """

    def __init__(self, make_exporter: Callable[[], SpanExporter], capacity: int = CAPACITY) -> None:
        self._make_exporter = make_exporter
        self._capacity = capacity
        self._exporter: SpanExporter | None = None
        self.dropped = 0
        self._dropped_logged = 0
        self._logged_at = -_LOG_EVERY_S
        self._start()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _start(self) -> None:
        self._lifecycle: deque[ReadableSpan] = deque()
        self._foreign: deque[ReadableSpan] = deque()
        self._lock = threading.Lock()
        self._export_lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def _after_fork(self) -> None:
        # The parent sends what is queued here, and no thread survives a fork.
        stopped = self._stopping
        self._start()
        self._stopping = stopped
        self._exporter = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do: spans are queued when they end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span, or count it as dropped."""
        context = span.context
        if context is None or not context.trace_flags.sampled or self._stopping:
            return
        lifecycle = is_lifecycle(span)
        with self._lock:
            size = len(self._lifecycle) + len(self._foreign)
            if size >= self._capacity:
                self.dropped += 1
                if not lifecycle or not self._foreign:
                    return
                self._foreign.popleft()
            (self._lifecycle if lifecycle else self._foreign).append(span)
            if self._thread is None:
                self._start_thread()
        if size + 1 >= BATCH and not self._wake.is_set():
            self._wake.set()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="otel-benchmark-export", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # none is to be had now, or never again at the interpreter's exit: shutdown() sends the queue
        self._thread = thread

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what is queued now; False if some is left when the time is over."""
        deadline = time.monotonic() + timeout_millis / 1000
        while time.monotonic() < deadline:
            if not self._export_batch():
                return True
        return not (self._lifecycle or self._foreign)

    def shutdown(self) -> None:
        """Export what is queued, then stop. Spans that end later are not sent."""
        if self._stopping:
            return
        self.force_flush()
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._exporter is not None:
            self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(DELAY_S)
            self._wake.clear()
            while self._export_batch() == BATCH and not self._stopping:
                pass
            self._log_drops()

    def _take(self) -> list[ReadableSpan]:
        with self._lock:
            batch = [self._lifecycle.popleft() for _ in range(min(BATCH, len(self._lifecycle)))]
            batch += [self._foreign.popleft() for _ in range(min(BATCH - len(batch), len(self._foreign)))]
        return batch

    def _export_batch(self) -> int:
        """Export up to BATCH spans; return how many were taken."""
        with self._export_lock:
            batch = self._take()
            if not batch:
                return 0
            reason: object = "the receiver refused them"
            try:
                with suppress_instrumentation():
                    if self._exporter is None:
                        self._exporter = self._make_exporter()
                    sent = self._exporter.export(batch) is SpanExportResult.SUCCESS
            except Exception as error:  # noqa: BLE001 - whatever an exporter raises, the application must not see it
                sent, reason = False, error
            if not sent:
                with self._lock:
                    self.dropped += len(batch)
                logger.debug("%d spans were not sent: %s", len(batch), reason)
            return len(batch)

    def _log_drops(self) -> None:
        now = time.monotonic()
        if self.dropped > self._dropped_logged and now - self._logged_at >= _LOG_EVERY_S:
            logger.warning(
                "%d spans were dropped: the queue was full or %s did not take them",
                self.dropped - self._dropped_logged,
                ENDPOINT,
            )
            self._dropped_logged, self._logged_at = self.dropped, now


def is_lifecycle(span: ReadableSpan) -> bool:
    """Tell a lifecycle span, ours or another emitter's, from a foreign one."""
    scope = span.instrumentation_scope
    return (scope is not None and scope.name == SCOPE_NAME) or span.name.partition(" ")[0] in _WORDS


def otlp_exporter(settings: Settings) -> SpanExporter:
    """Build the OTLP exporter that the settings ask for."""
    endpoint: Any = settings.endpoint
    headers = dict(settings.headers)
    if settings.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415 - imports grpc
            OTLPSpanExporter as GrpcExporter,
        )

        return GrpcExporter(endpoint=endpoint, headers=headers, insecure=urlsplit(endpoint).scheme == "http")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - imports requests
        OTLPSpanExporter as HttpExporter,
    )

    path = urlsplit(endpoint).path.rstrip("/")
    url = endpoint if path.endswith("/v1/traces") else endpoint.rstrip("/") + "/v1/traces"
    return HttpExporter(endpoint=url, headers=headers)
