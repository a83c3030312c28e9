"""BenchmarkInstrumentor: what `opentelemetry-instrument` loads, configured by environment variables alone.

It wraps the callables that the environment names, lets the context follow into threads and thread pools, flushes
what children of multiprocessing have recorded, and sends to the processor as well where the application's own exporter
goes elsewhere. It never raises: an instrumentor that
does stops all those after it.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # upstream's module is untyped

from otel_benchmark.children import flush_children
from otel_benchmark.environment import ENDPOINT, Settings, without_credentials
from otel_benchmark.runtime import RUNTIME
from otel_benchmark.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_benchmark.export.processor import PrioritySpanProcessor

logger = logging.getLogger(__name__)


class BenchmarkInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's module is untyped
    """Instruments an arbiter. `instrument(tracer_provider=…, settings=…)` by hand, no argument from outside."""

    _targets: Targets | None = None
    _processor: PrioritySpanProcessor | None = None
    _threading: Any = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Nothing: what is instrumented is the application itself."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        try:
            settings = kwargs.get("settings") or Settings.from_environ()
            provider = kwargs.get("tracer_provider")
            RUNTIME.configure(settings, provider)
            RUNTIME.resolve()
            self._follow_threads()
            self._export(settings, provider or trace.get_tracer_provider())
            flush_children(provider or trace.get_tracer_provider(), self._processor)
            self._targets = Targets(settings.targets)
            self._targets.install()
        except Exception:
            logger.exception("otel_benchmark could not instrument the application, which runs on without")

    def _uninstrument(self, **_kwargs: Any) -> None:
        if self._targets is not None:
            self._targets.remove()
        if self._processor is not None:
            self._processor.shutdown()
        if self._threading is not None:
            self._threading.uninstrument()
        self._targets = self._processor = self._threading = None
        RUNTIME.configure()

    def _follow_threads(self) -> None:
        # opentelemetry-instrument loads the threading instrumentation itself, unless the operator disabled it;
        # whoever comes second is told off by a warning.
        if "opentelemetry.instrumentation.auto_instrumentation" in sys.modules:
            return
        from opentelemetry.instrumentation.threading import ThreadingInstrumentor  # noqa: PLC0415 - see above

        threading = ThreadingInstrumentor()
        if not threading.is_instrumented_by_opentelemetry:
            threading.instrument()
            self._threading = threading

    def _export(self, settings: Settings, provider: Any) -> None:
        if settings.endpoint is None:
            return
        if not hasattr(provider, "add_span_processor"):
            logger.warning("%s: no OpenTelemetry SDK is configured, nothing is sent to %s", ENDPOINT, settings.endpoint)
            return
        # Needs the SDK.
        from otel_benchmark.export.grpc_core import comes_to_rest  # noqa: PLC0415
        from otel_benchmark.export.metrics import observe  # noqa: PLC0415
        from otel_benchmark.export.otlp import otlp_sender  # noqa: PLC0415
        from otel_benchmark.export.processor import PrioritySpanProcessor  # noqa: PLC0415

        self._processor = PrioritySpanProcessor(
            otlp_sender(settings),
            settings.queue_bytes,
            receiver=without_credentials(settings.endpoint),
            comes_to_rest=comes_to_rest if settings.protocol == "grpc" else None,
        )
        provider.add_span_processor(self._processor)
        observe(self._processor)
