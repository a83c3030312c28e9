"""An OTLP backend for traces, over gRPC and HTTP, that keeps what it takes and answers as told."""

from __future__ import annotations

import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import grpc
import trustme
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # its package has no stubs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Reply(NamedTuple):
    """To one request: by gRPC the code, by HTTP the status; `after` seconds, `rejected` spans of it not taken."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    http: int = 200
    retry_after: float | None = None
    rejected: int = 0
    after: float = 0.0
    bare: bool = False
    """Without the RetryInfo."""
    words: str = "as told"
    """Of a refusal by gRPC, and of spans that are not taken."""


WELL = Reply()
BUSY = Reply(grpc.StatusCode.UNAVAILABLE, 503, retry_after=0.05)
WRONG = Reply(grpc.StatusCode.INVALID_ARGUMENT, 400)


class Tls(NamedTuple):
    """PEM: our key and certificates, and whom clients must be trusted by, if they must; and the same as a context."""

    key: bytes
    chain: bytes
    clients: bytes | None
    context: ssl.SSLContext


def tls_of(server: trustme.LeafCert, clients: trustme.CA | None = None) -> Tls:
    """How a backend of this certificate talks; with `clients` only to those whom that authority knows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.configure_cert(context)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    chain = b"".join(blob.bytes() for blob in server.cert_chain_pems)
    return Tls(server.private_key_pem.bytes(), chain, clients.cert_pem.bytes() if clients else None, context)


@dataclass
class Backend:
    """`replies` are used up one a request, then `otherwise` holds."""

    protocol: str
    endpoint: str = ""
    otherwise: Reply = WELL
    replies: deque[Reply] = field(default_factory=deque)
    seen: list[tuple[ExportTraceServiceRequest, dict[str, str]]] = field(default_factory=list)
    """Every request with its headers, also those that were refused."""
    taken: list[ExportTraceServiceRequest] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    """All bytes that came, headers excepted."""

    def receive(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        request = ExportTraceServiceRequest.FromString(body)
        self.raw += body
        reply = self.replies.popleft() if self.replies else self.otherwise
        self.seen.append((request, dict(headers)))
        time.sleep(reply.after)
        if reply.code is grpc.StatusCode.OK and reply.http == 200:
            self.taken.append(request)
        return reply

    @property
    def spans(self) -> list[Span]:
        """Of the requests that were taken."""
        return [
            span
            for request in self.taken
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def of(self, trace_id: bytes) -> dict[bytes, Span]:
        """A trace's spans by id; each came once."""
        found = [span for span in self.spans if span.trace_id == trace_id]
        by_id = {span.span_id: span for span in found}
        assert len(by_id) == len(found), "a span came twice"
        return by_id


def attributes_of(span: Any) -> dict[str, Any]:
    """Attributes of a span, event or resource by name, lists as lists."""
    assert len({item.key for item in span.attributes}) == len(span.attributes), "a name came twice"
    return {item.key: _python(item.value) for item in span.attributes}


def _python(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_python(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def _answer(reply: Reply) -> bytes:
    answer = ExportTraceServiceResponse()
    if reply.rejected:
        answer.partial_success.rejected_spans = reply.rejected
        answer.partial_success.error_message = reply.words
    return answer.SerializeToString()


@contextmanager
def backend(protocol: str, tls: Tls | None = None, port: int = 0) -> Iterator[Backend]:
    """A backend that listens on loopback, for a block; `protocol` as the setting says it."""
    running = Backend(protocol)
    serve = _grpc if protocol == "grpc" else _http
    with serve(running, tls, port) as bound:
        running.endpoint = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{bound}"
        yield running


@contextmanager
def _grpc(running: Backend, tls: Tls | None, port: int) -> Iterator[int]:
    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        headers = {str(key): str(value) for key, value in context.invocation_metadata()}
        reply = running.receive(body, headers)
        if reply.retry_after is not None and not reply.bare:
            delay = Duration()
            delay.FromMilliseconds(round(reply.retry_after * 1000))
            status = status_pb2.Status(code=reply.code.value[0])
            status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        if reply.code is not grpc.StatusCode.OK:
            context.abort(reply.code, reply.words)
        return _answer(reply)

    class Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs only
        def service(self, handler_call_details: Any) -> Any:
            assert handler_call_details.method == METHOD
            return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.server(ThreadPoolExecutor(2), handlers=(Handlers(),), options=(("grpc.so_reuseport", 0),))
    if tls:
        credentials = grpc.ssl_server_credentials(
            [(tls.key, tls.chain)], tls.clients, require_client_auth=tls.clients is not None
        )
        bound = server.add_secure_port(f"localhost:{port}", credentials)
    else:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield bound
    finally:
        server.stop(None).wait()


@contextmanager
def _http(running: Backend, tls: Tls | None, port: int) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            assert self.headers["content-type"] == "application/x-protobuf"
            body = self.rfile.read(int(self.headers["content-length"]))
            reply = running.receive(body, {name.lower(): value for name, value in self.headers.items()})
            content = _answer(reply)
            self.send_response(reply.http)
            if reply.retry_after is not None and not reply.bare:
                self.send_header("retry-after", f"{reply.retry_after:.0f}")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that went away, or whose certificate isn't trusted."""

    server = Server(("127.0.0.1", port), Handler)
    if tls:
        server.socket = tls.context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
