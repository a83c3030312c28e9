"""The official OTLP exporters, and what they keep to themselves: why a request failed, what a receiver left out.

An exporter retries for ten seconds (`OTEL_EXPORTER_OTLP_TIMEOUT`) and then says "failure". Whether to keep the spans
depends on the answer, so it is watched where the request leaves: at the HTTP session, at the gRPC stub.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_benchmark.connections import import_what_sending_imports
from otel_benchmark.export.delays import by_header, by_retry_info
from otel_benchmark.export.sender import Answer, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_benchmark.environment import Settings

_TAKEN_HTTP: Final = range(200, 300)
_RETRYABLE_HTTP: Final = frozenset({429, 502, 503, 504})
_RETRYABLE_GRPC: Final = frozenset(
    {
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "ABORTED",
        "OUT_OF_RANGE",
        "RESOURCE_EXHAUSTED",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)
_RETRY_INFO: Final = "google.rpc.retryinfo-bin"
_PAYLOAD_TOO_LARGE: Final = 413
_LONGEST_REASON: Final = 200
_TRANSPORT_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "user-agent",
    }
)


class Heard:
    """The receiver's last answer, noted by whoever watches the requests."""

    def __init__(self) -> None:
        self.answer: Answer | None = None

    def forget(self) -> None:
        """Nothing was heard of the request that comes."""
        self.answer = None


class OtlpSender:
    """Sends by an official exporter."""

    def __init__(self, exporter: SpanExporter, heard: Heard) -> None:
        self.exporter = exporter
        self._heard = heard

    def send(self, spans: Sequence[ReadableSpan]) -> Answer:
        """Send a batch, with the exporter's own retries."""
        self._heard.forget()
        try:
            with suppress_instrumentation(), _quiet:
                result = self.exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - whatever an exporter raises, the application must not see it
            return Answer(Verdict.NEVER, type(error).__name__)
        if self._heard.answer is not None:
            return self._heard.answer
        return Answer(Verdict.TAKEN) if result is SpanExportResult.SUCCESS else Answer(Verdict.NEVER, "not encodable")

    def close(self) -> None:
        """Shut the exporter down, which ends its retries."""
        with _quiet:
            self.exporter.shutdown()


def otlp_sender(settings: Settings) -> Callable[[], OtlpSender]:
    """Return what makes a sender for the endpoint, headers and protocol of the settings.

    All that sending needs is imported here, in the application's start: an import in a thread of ours, cut by a fork,
    would leave the child a module half made and locked, and the application could not use it either.
    """
    make = (_grpc_exporters if settings.protocol == "grpc" else _http_exporters)()
    endpoint, headers = settings.endpoint or "", dict(settings.headers)

    def sender() -> OtlpSender:
        heard = Heard()
        return OtlpSender(make(endpoint, headers, heard), heard)

    return sender


_Make = Callable[[str, Mapping[str, str], Heard], SpanExporter]


# -- HTTP ----------------------------------------------------------------------------------------------------


def _http_exporters() -> _Make:
    import_what_sending_imports()
    import requests  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    class Watched(requests.Session):
        """Notes each answer, and sends no headers that are meant for the application's own receiver."""

        def __init__(self, headers: Mapping[str, str], heard: Heard) -> None:
            super().__init__()
            self._allowed = _TRANSPORT_HEADERS | headers.keys()
            self._heard = heard

        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            for name in [n for n in request.headers if n.lower() not in self._allowed]:
                del request.headers[name]
            try:
                response = super().send(request, **kwargs)
            except requests.RequestException as error:
                passing = isinstance(error, (requests.ConnectionError, requests.Timeout))
                self._heard.answer = Answer(Verdict.LATER if passing else Verdict.NEVER, type(error).__name__)
                raise
            self._heard.answer = _http_answer(
                response.status_code, response.content, by_header(response.headers.get("Retry-After"))
            )
            return response

    def make(endpoint: str, headers: Mapping[str, str], heard: Heard) -> SpanExporter:
        path = urlsplit(endpoint).path.rstrip("/")
        url = endpoint if path.endswith("/v1/traces") else endpoint.rstrip("/") + "/v1/traces"
        return OTLPSpanExporter(endpoint=url, headers=dict(headers), session=Watched(headers, heard))

    return make


def _http_answer(status: int, body: bytes, delay_s: float) -> Answer:
    reason = f"HTTP {status}"
    if status in _TAKEN_HTTP:
        return _taken(body)
    if status in _RETRYABLE_HTTP:
        return Answer(Verdict.LATER, reason, delay_s=delay_s)
    return Answer(Verdict.TOO_LARGE if status == _PAYLOAD_TOO_LARGE else Verdict.NEVER, reason)


def _taken(body: bytes) -> Answer:
    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:  # a receiver that answers in another form took the request all the same
        return Answer(Verdict.TAKEN)
    return Answer(Verdict.TAKEN, partial.error_message[:_LONGEST_REASON], partial.rejected_spans)


# -- gRPC ----------------------------------------------------------------------------------------------------


def _grpc_exporters() -> _Make:
    import grpc  # noqa: PLC0415
    import grpc._channel  # noqa: PLC0415 - what the first channel imports
    import grpc.experimental  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    class Stub:
        """Notes each answer, and sends no headers that are meant for the application's own receiver."""

        def __init__(self, stub: Any, headers: Mapping[str, str], heard: Heard) -> None:
            self._stub = stub
            self._metadata = tuple(headers.items())
            self._heard = heard

        def Export(self, request: Any, timeout: float, **_: Any) -> Any:  # noqa: N802 - the service's own word
            try:
                response = self._stub.Export(request=request, metadata=self._metadata, timeout=timeout)
            except grpc.RpcError as error:
                self._heard.answer = _grpc_answer(error)
                raise
            partial = response.partial_success
            self._heard.answer = Answer(Verdict.TAKEN, partial.error_message[:_LONGEST_REASON], partial.rejected_spans)
            return response

    class Watched(OTLPSpanExporter):
        _client: Any

        def __init__(self, endpoint: str, headers: Mapping[str, str], heard: Heard) -> None:
            self._benchmark = headers, heard
            super().__init__(endpoint=endpoint, insecure=urlsplit(endpoint).scheme == "http")

        def _initialize_channel_and_stub(self) -> None:  # the one place where each of its stubs is made
            super()._initialize_channel_and_stub()  # type: ignore[no-untyped-call]  # upstream's method is untyped
            self._client = Stub(self._client, *self._benchmark)

    return Watched


def _grpc_answer(error: Any) -> Answer:
    code = error.code().name
    retry_info = dict(error.trailing_metadata() or ()).get(_RETRY_INFO)
    # With a delay the receiver is full; without one the message is larger than it takes.
    if code == "RESOURCE_EXHAUSTED" and retry_info is None:
        return Answer(Verdict.TOO_LARGE, code)
    if code in _RETRYABLE_GRPC:
        return Answer(Verdict.LATER, code, delay_s=by_retry_info(retry_info))
    return Answer(Verdict.NEVER, code)


# -- The exporters' own log ----------------------------------------------------------------------------------


class _Quiet(threading.local, logging.Filter):
    """Keeps an exporter's log of every retry back while we send: we say the same once a minute, with counts."""

    sending = 0

    def filter(self, _record: logging.LogRecord) -> bool:
        return not self.sending

    def __enter__(self) -> None:
        self.sending += 1

    def __exit__(self, *_: object) -> None:
        self.sending -= 1


_quiet: Final = _Quiet()
for _name in ("http.trace_exporter", "grpc.exporter"):
    logging.getLogger(f"opentelemetry.exporter.otlp.proto.{_name}").addFilter(_quiet)
