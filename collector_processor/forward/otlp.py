"""One OTLP request to a backend, over gRPC or HTTP with protobuf: what it answered, or why it took nothing."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

# gRPC's fork handlers abort a process that forks while a channel is busy; ours never forks.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

import grpc
import grpc.aio
import urllib3
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # its package has no stubs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector_processor.errors import ForwardError

METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PATH: Final = "/v1/traces"
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_WORDS: Final = 200
"""Characters of a backend's own words that are repeated, without what our headers hold."""
_MASK: Final = "***"
_LEAST_SECRET: Final = 8
"""Shorter words of a header are no secrets, and occur by chance."""

_RETRYABLE: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""As OTLP/gRPC names them; RESOURCE_EXHAUSTED beside them where the backend says when to come back."""
_RETRYABLE_HTTP: Final = frozenset({429, 502, 503, 504})


class Answer(NamedTuple):
    """A request was taken, but perhaps for some spans."""

    rejected: int = 0
    message: str = ""


class Backend(NamedTuple):
    """Where to send to, and as whom. `endpoint` is a URL whose scheme says whether TLS is used; files are PEM."""

    endpoint: str
    protocol: str
    headers: Mapping[str, str]
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class Exporter(Protocol):
    """Sends one request."""

    async def export(self, body: bytes) -> Answer:
        """Send a `TracesData` message, which an `ExportTraceServiceRequest` is on the wire. Raises ForwardError."""

    async def close(self) -> None:
        """Let go of the connection."""


def connect(backend: Backend) -> Exporter:
    """An exporter for the backend; it need not be there yet.

    Raises ForwardError: a file of the TLS settings can't be used.
    """
    return GrpcExporter(backend) if backend.protocol == "grpc" else HttpExporter(backend)


class GrpcExporter:
    """OTLP/gRPC."""

    def __init__(self, backend: Backend) -> None:
        parts = urlsplit(backend.endpoint)
        tls = parts.scheme == "https"
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        target = f"{host}:{parts.port or (443 if tls else 4317)}"
        # gRPC waits up to two minutes before it looks again for a backend that was away; the sender waits by itself.
        options: list[tuple[str, Any]] = [("grpc.max_reconnect_backoff_ms", 2000)]
        if tls:
            read = [_read(path) for path in (backend.ca_file, backend.key_file, backend.cert_file)]
            self._channel = grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(*read), options)
        else:
            self._channel = grpc.aio.insecure_channel(target, options)
        self._metadata = tuple((name.lower(), value) for name, value in backend.headers.items())
        self._secrets = _secrets(backend.headers)
        # Bytes go as they are; the stubs know no call without serializers.
        self._export = self._channel.unary_unary(METHOD)  # type: ignore[call-arg]

    async def export(self, body: bytes) -> Answer:
        """See Exporter."""
        try:
            answer = await self._export(body, timeout=ANSWER_SECONDS, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            retry_after = _retry_info(error)
            transient = error.code() in _RETRYABLE or (
                error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after is not None
            )
            words = f"{error.code().name}: {_words(error.details() or '', self._secrets)}"
            raise ForwardError(words, transient=transient, retry_after=retry_after) from error
        return _read_answer(answer, self._secrets)

    async def close(self) -> None:
        """See Exporter."""
        await self._channel.close(None)


class HttpExporter:
    """OTLP/HTTP with protobuf. Requests run in a thread, one at a time."""

    def __init__(self, backend: Backend) -> None:
        parts = urlsplit(backend.endpoint)
        path = parts.path.rstrip("/")
        self._url = backend.endpoint.rstrip("/") + ("" if path.endswith(PATH) else PATH)
        for file in (backend.ca_file, backend.cert_file, backend.key_file):
            _read(file)
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
            retries=False,
            ca_certs=backend.ca_file,
            cert_file=backend.cert_file,
            key_file=backend.key_file,
        )
        self._secrets = _secrets(backend.headers)
        self._headers = {**backend.headers, "content-type": "application/x-protobuf"}

    async def export(self, body: bytes) -> Answer:
        """See Exporter."""
        return await asyncio.to_thread(self._post, body)

    def _post(self, body: bytes) -> Answer:
        try:
            response = self._pool.request(
                "POST", self._url, body=body, headers=self._headers, redirect=False, preload_content=False
            )
            status, retry_after = response.status, _retry_after(response.headers)
            content = response.read(MAX_ANSWER_BYTES)
            if response.read(1):
                response.close()  # the rest of a long answer is not worth the connection
            response.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise ForwardError(_words(str(error), self._secrets), transient=True) from error
        if 200 <= status < 300:
            return _read_answer(content, self._secrets)
        raise ForwardError(f"HTTP {status}", transient=status in _RETRYABLE_HTTP, retry_after=retry_after)

    async def close(self) -> None:
        """See Exporter."""
        self._pool.clear()


def _read_answer(content: bytes, secrets: Sequence[str]) -> Answer:
    try:
        partial = ExportTraceServiceResponse.FromString(content).partial_success
    except DecodeError:
        return Answer()  # it was taken; what a backend adds to that is its own affair
    return Answer(max(0, partial.rejected_spans), _words(partial.error_message, secrets))


def _retry_info(error: grpc.aio.AioRpcError) -> float | None:
    """When the backend wants to be asked again, in seconds."""
    trailers: Any = error.trailing_metadata() or ()  # pairs, which the stubs don't know to be iterable
    for key, value in trailers:
        if key == "grpc-status-details-bin":
            info = error_details_pb2.RetryInfo()
            try:
                details: Sequence[Any] = status_pb2.Status.FromString(value).details
                if any(each.Unpack(info) for each in details):
                    return float(info.retry_delay.ToTimedelta().total_seconds())
            except (DecodeError, OverflowError):
                return None
    return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The same from HTTP: seconds, or the date of which they are taken."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  # the path came as text over the pipe and goes nowhere else
            return stream.read()
    except OSError as error:
        raise ForwardError(f"{path} can't be read: {error.strerror}", transient=False) from error


def _secrets(headers: Mapping[str, str]) -> list[str]:
    """What a backend may repeat of our headers when it refuses them, the longest first."""
    found = {word for value in headers.values() for word in (value, *value.split()) if len(word) >= _LEAST_SECRET}
    return sorted(found, key=len, reverse=True)


def _words(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _MASK)
    return " ".join(text.split())[:MAX_WORDS]
