"""Which signals are received, and where: one row a signal, read by both receivers."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from collector_processor.model.stages import Receipt, Signal


class Endpoint(NamedTuple):
    """A signal's place in OTLP.

    Attributes:
        path: of OTLP/HTTP.
        method: of OTLP/gRPC, with its service.
        request: message class of a request.
        response: message class of the answer, with its `partial_success`.
        rejected: the field of `partial_success` that counts what was refused.
    """

    signal: Signal
    path: str
    method: str
    request: Any
    response: Any
    rejected: str

    def answer(self, receipt: Receipt) -> Any:
        """Make the response message; it holds a partial success only where something was refused or is said."""
        response = self.response()
        if receipt.rejected or receipt.message:
            setattr(response.partial_success, self.rejected, receipt.rejected)
            response.partial_success.error_message = receipt.message
        return response


ENDPOINTS: Final = (
    Endpoint(
        signal=Signal.TRACES,
        path="/v1/traces",
        method="/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        request=trace_service_pb2.ExportTraceServiceRequest,
        response=trace_service_pb2.ExportTraceServiceResponse,
        rejected="rejected_spans",
    ),
    Endpoint(
        signal=Signal.LOGS,
        path="/v1/logs",
        method="/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        request=logs_service_pb2.ExportLogsServiceRequest,
        response=logs_service_pb2.ExportLogsServiceResponse,
        rejected="rejected_log_records",
    ),
)
BY_PATH: Final = {endpoint.path: endpoint for endpoint in ENDPOINTS}
BY_METHOD: Final = {endpoint.method: endpoint for endpoint in ENDPOINTS}
